//! How many objects a body would become, found without making any. An empty message is two bytes on the wire and two hundred
//! in memory, so a limit on bytes alone is none on memory.

/// Fields that lead from a request down to the attributes of points, by depth. Field 2 of a resource's or scope's metrics,
/// fields 5 to 11 of a metric and the points below are all the fields that can nest; others are counted as leaves.
const DEPTH: usize = 7;

/// Counts the messages in a protobuf body, down to the attributes of points. Stops at `limit`.
pub fn protobuf(body: &[u8], limit: usize) -> usize {
    let mut left = limit;
    descend(body, DEPTH, &mut left);
    limit - left
}

fn descend(mut bytes: &[u8], depth: usize, left: &mut usize) {
    while *left > 0 && !bytes.is_empty() {
        let Some((tag, rest)) = varint(bytes) else { return };
        let skipped = match tag & 7 {
            0 => varint(rest).map(|(_, rest)| rest),
            1 => rest.get(8..),
            5 => rest.get(4..),
            2 => varint(rest).and_then(|(len, rest)| {
                let (inside, rest) = rest.split_at_checked(usize::try_from(len).ok()?)?;
                *left -= 1;
                // A text read as a message gives some wrong counts, never too few.
                if depth > 0 {
                    descend(inside, depth - 1, left);
                }
                Some(rest)
            }),
            _ => None,
        };
        match skipped {
            Some(rest) => bytes = rest,
            None => return,
        }
    }
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (at, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f).checked_shl(u32::try_from(at * 7).ok()?)?;
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(at + 1..)?));
        }
    }
    None
}

/// Counts what may be an object or a list element in a JSON body.
pub fn json(body: &[u8]) -> usize {
    body.iter().filter(|byte| matches!(byte, b'{' | b'[' | b',')).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pannier_otlp_messages::{ExportMetricsServiceRequest, Message, Metric, ResourceMetrics, ScopeMetrics};

    #[test]
    fn counts_what_is_nested() {
        let metrics = vec![Metric::default(); 1000];
        let scope = ScopeMetrics { scope: None, metrics };
        let request = ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics { resource: None, scope_metrics: vec![scope] }],
        };
        assert_eq!(protobuf(&request.encode_to_vec(), 10_000), 1002);
        assert_eq!(protobuf(&request.encode_to_vec(), 100), 100);
    }

    #[test]
    fn garbage_ends() {
        for body in
            [&b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"[..], b"\x0a\xff\xff\xff\xff\x0f", b"\x0b", b"", b"\x0a"]
        {
            assert!(protobuf(body, 1000) <= 1, "{body:?}");
        }
    }
}
