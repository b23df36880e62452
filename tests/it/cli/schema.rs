//! As much of JSON Schema as our schemas use: of patterns only the one for digests.

use serde_json::Value;

/// Everything in which `document` differs from `schema`, each with its place.
///
/// Knows `$ref` into `$defs`, `oneOf`, `type`, `const`, `enum`, `required`, `properties`, `additionalProperties` and `items`; any other keyword that
/// would restrict something is reported, so that a schema cannot silently say more than is checked.
pub fn violations(schema: &Value, document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(schema, schema, document, "$", &mut found);
    found
}

const KNOWN: [&str; 16] = [
    "oneOf",
    "pattern",
    "$defs",
    "$ref",
    "$schema",
    "$id",
    "title",
    "description",
    "type",
    "const",
    "enum",
    "required",
    "properties",
    "additionalProperties",
    "items",
    "minimum",
];

fn check(root: &Value, schema: &Value, document: &Value, place: &str, found: &mut Vec<String>) {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        return match root.pointer(reference.trim_start_matches('#')) {
            Some(target) => check(root, target, document, place, found),
            None => found.push(format!("{place}: {reference} is not in the schema")),
        };
    }
    if let Some(alternatives) = schema.get("oneOf").and_then(Value::as_array) {
        let attempt = |alternative: &Value| {
            let mut found = Vec::new();
            check(root, alternative, document, place, &mut found);
            found
        };
        let attempts: Vec<Vec<String>> = alternatives.iter().map(attempt).collect();
        if attempts.iter().filter(|attempt| attempt.is_empty()).count() != 1 {
            found.push(format!("{place}: not exactly one of the alternatives fits: {attempts:?}"));
        }
    }
    if let Some(pattern) = schema.get("pattern") {
        let is_digest = |text: &str| text.len() == 64 && text.bytes().all(|b| b"0123456789abcdef".contains(&b));
        match (pattern.as_str(), document.as_str()) {
            (Some("^[0-9a-f]{64}$"), Some(text)) if !is_digest(text) => {
                found.push(format!("{place}: {text} is no digest"))
            }
            (Some("^[0-9a-f]{64}$"), _) => {}
            _ => found.push(format!("{place}: the pattern {pattern} is not known here")),
        }
    }
    let Some(keywords) = schema.as_object() else { return };
    found.extend(
        keywords
            .keys()
            .filter(|key| !KNOWN.contains(&key.as_str()))
            .map(|key| format!("{place}: unknown keyword {key}")),
    );
    if let Some(types) = schema.get("type") {
        let types: Vec<&str> = match types {
            Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
            one => one.as_str().into_iter().collect(),
        };
        if !types.iter().any(|name| is_a(name, document)) {
            return found.push(format!("{place}: expected {types:?}, found {document}"));
        }
    }
    if schema.get("const").is_some_and(|only| only != document) {
        found.push(format!("{place}: expected {}, found {document}", schema["const"]));
    }
    if schema.get("enum").and_then(Value::as_array).is_some_and(|values| !values.contains(document)) {
        found.push(format!("{place}: {document} is not one of {}", schema["enum"]));
    }
    if let (Some(least), Some(number)) = (schema.get("minimum").and_then(Value::as_f64), document.as_f64())
        && number < least
    {
        found.push(format!("{place}: {number} is below {least}"));
    }
    if let (Some(items), Some(schema)) = (document.as_array(), schema.get("items")) {
        let numbered = items.iter().enumerate();
        numbered.for_each(|(index, item)| check(root, schema, item, &format!("{place}[{index}]"), found));
    }
    let Some(fields) = document.as_object() else { return };
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    found.extend(required.filter(|key| !fields.contains_key(*key)).map(|key| format!("{place}: `{key}` is missing")));
    for (key, value) in fields {
        let place = format!("{place}.{key}");
        match (schema.get("properties").and_then(|properties| properties.get(key)), schema.get("additionalProperties"))
        {
            (Some(schema), _) => check(root, schema, value, &place, found),
            (None, Some(Value::Bool(false))) => found.push(format!("{place}: not in the schema")),
            (None, Some(schema)) => check(root, schema, value, &place, found),
            (None, None) => {}
        }
    }
}

fn is_a(name: &str, document: &Value) -> bool {
    match name {
        "null" => document.is_null(),
        "boolean" => document.is_boolean(),
        "integer" => document.is_u64() || document.is_i64(),
        "number" => document.is_number(),
        "string" => document.is_string(),
        "array" => document.is_array(),
        "object" => document.is_object(),
        _ => false,
    }
}

#[test]
fn a_violation_is_found() {
    let schema = serde_json::json!({
        "type": "object", "additionalProperties": false, "required": ["a"],
        "properties": { "a": { "type": "integer" }, "b": { "enum": ["x"] }, "c": { "type": "array", "items": { "const": 1 } } }
    });
    let cases = [
        (serde_json::json!({ "a": 1, "b": "x", "c": [1, 1] }), 0),
        (serde_json::json!({ "a": "1" }), 1),
        (serde_json::json!({}), 1),
        (serde_json::json!({ "a": 1, "d": 1 }), 1),
        (serde_json::json!({ "a": 1, "b": "y", "c": [1, 2] }), 2),
        (serde_json::json!([]), 1),
    ];
    for (document, expected) in cases {
        assert_eq!(violations(&schema, &document).len(), expected, "{document}: {:?}", violations(&schema, &document));
    }
}
