//! Each limit trips where it should, before anything is allocated for what it limits.

use pannier_bundle::header::{Chunk, Codec, Kind, Plane};
use pannier_bundle::{Bundle, Code, Decoder, Error, Limits, Quantity, Trust};

use crate::support::{WAYS, file, key, lay_out, read_all, sample, section, sha256, signed};

#[test]
fn each_limit_accepts_its_value_and_refuses_one_more() {
    let bytes = signed(&sample(), &[&key(1), &key(2)]);
    let bundle = Bundle::open(&*bytes, &Limits::default()).unwrap();
    let (header, header_bytes) = (bundle.header().clone(), bundle.header_bytes().len() as u64);
    let block_bytes = 4 + bundle.signatures().iter().map(|signature| 4 + signature.len() as u64).sum::<u64>() + 32;
    let chunks = header.sections.iter().map(|section| section.chunks.len() as u64).sum::<u64>();
    let small = header.sections.iter().filter(|section| section.kind != Kind::Weights);
    let small_bytes = small.map(|section| section.content_bytes).max().unwrap();
    type Field = fn(&mut Limits) -> &mut u64;
    let fields: [(Quantity, u64, Field); 7] = [
        (Quantity::HeaderBytes, header_bytes, |limits| &mut limits.header_bytes),
        (Quantity::SignaturesBytes, block_bytes, |limits| &mut limits.signatures_bytes),
        (Quantity::Signatures, 2, |limits| &mut limits.signatures),
        (Quantity::Sections, 3, |limits| &mut limits.sections),
        (Quantity::Chunks, chunks, |limits| &mut limits.chunks),
        (Quantity::ContentBytes, header.content_bytes(), |limits| &mut limits.content_bytes),
        (Quantity::SmallSectionBytes, small_bytes, |limits| &mut limits.small_section_bytes),
    ];
    let mut wrong = Vec::new();
    for (quantity, value, field) in fields {
        for way in WAYS {
            let read = |limit| {
                let mut limits = Limits::default();
                *field(&mut limits) = limit;
                read_all(&bytes, &Trust::AllowUnsigned, &limits, Decoder::default(), *way)
            };
            let fits = read(value);
            let refused = read(value - 1);
            let expected = matches!(&refused, Err(Error::Limit { what, limit, .. })
                if *what == quantity && *limit == value - 1);
            if fits.is_err() || !expected {
                wrong.push(format!("{quantity}, {way:?}: {:?}, {:?}", fits.err(), refused.err()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_bomb_is_refused_by_its_table_alone() {
    // 5 GiB of zeros in frames of 16 bytes each: honest sizes, and over the default limit.
    let frame = zstd::bulk::compress(&vec![0; 1 << 20], 19).unwrap();
    let count = 5 << 10;
    let mut bomb = section(Kind::Weights, "weights/0", Codec::Zstd, b"", b"");
    let plane = Plane { codec: Codec::Zstd, stored_bytes: frame.len() as u32 };
    bomb.chunks = vec![Chunk { content_bytes: 1 << 20, sha256: sha256(&frame), planes: vec![plane] }; count];
    bomb.content_bytes = (count as u64) << 20;
    bomb.stored_bytes = (count * frame.len()) as u64;
    let (header, body) = lay_out(vec![(bomb, frame.repeat(count))]);
    let bytes = file(&header.encode(), &body, &[]);
    assert!(bytes.len() < 1 << 20);
    for way in WAYS {
        let outcome = read_all(&bytes, &Trust::AllowUnsigned, &Limits::default(), Decoder::default(), *way);
        assert_eq!(outcome.map_err(|error| error.code()), Err(Code::Limit), "{way:?}");
    }
}
