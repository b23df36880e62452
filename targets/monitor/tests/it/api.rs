//! The API against its description, and the page.

use crate::support::{Server, payload, write};
use pannier_monitor::simulate::MODELS;
use serde_json::Value;

fn description() -> Value {
    serde_json::from_str(include_str!("../../openapi.json")).expect("JSON")
}

/// What a document has that its schema does not allow.
fn violations(schema: &Value, value: &Value, at: &str, all: &Value, found: &mut Vec<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().expect("a name");
        return violations(&all["components"]["schemas"][name], value, at, all, found);
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        _ => return found.push(format!("{at}: the schema names no type")),
    };
    let is = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) if types.contains(&"integer") => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if !types.contains(&is) {
        return found.push(format!("{at}: {is} instead of {types:?}"));
    }
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                violations(&schema["items"], item, &format!("{at}[{index}]"), all, found);
            }
        }
        Value::Object(fields) => {
            for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                if !fields.contains_key(name) {
                    found.push(format!("{at}: `{name}` is missing"));
                }
            }
            for (name, field) in fields {
                let own = &schema["properties"][name];
                let other = &schema["additionalProperties"];
                match (own.is_null(), other) {
                    (false, _) => violations(own, field, &format!("{at}.{name}"), all, found),
                    (true, Value::Object(_)) => violations(other, field, &format!("{at}.{name}"), all, found),
                    (true, Value::Bool(true)) => {}
                    (true, _) => found.push(format!("{at}: `{name}` is not in the schema")),
                }
            }
        }
        _ => {}
    }
}

#[test]
fn every_answer_is_as_described() {
    let folder = tempfile::tempdir().expect("a folder");
    let rules =
        include_str!("../../examples/rules.toml").replace("180d", "1d").replace("webhooks = [\"operations\"]", "");
    write(&folder.path().join("rules.toml"), &rules);
    let server = Server::in_folder(folder, |_| {});
    let client = server.client();
    let mut devices = Vec::new();
    for number in 0..12 {
        let (device, payload) = payload(number);
        assert_eq!(client.post(&payload).status, 200);
        devices.push(device.name().to_owned());
    }
    crate::support::eventually("an alert", || client.get("/api/v1/alerts").json()["alerts"][0].is_object());
    let all = description();
    let (mut tried, mut found) = (0, Vec::new());
    for (path, methods) in all["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            // What is deleted is not asked for again.
            let device = if method == "delete" { &devices[0] } else { &devices[1] };
            let filled = path.replace("{fleet}", "default").replace("{device}", device).replace("{id}", "1");
            let headers = [("content-type", "application/json")];
            let answer = client.send(&method.to_uppercase(), &filled, &headers, b"").expect("an answer");
            assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text());
            let schema = &operation["responses"]["200"]["content"]["application/json"]["schema"];
            violations(schema, &answer.json(), path, &all, &mut found);
            tried += 1;
        }
    }
    assert_eq!(found, Vec::<String>::new());
    assert_eq!(tried, 12);
    let rows = client.get("/api/v1/overview").json()["rows"].as_array().expect("rows").len();
    assert_eq!(rows, MODELS.len(), "what a deleted device did still counts");
    assert_eq!(client.get("/api/v1/devices").json()["total"], 11);
    assert_eq!(client.get("/api/openapi.json").json(), all);
}

#[test]
fn wrong_questions_are_answered_with_advice() {
    let server = Server::start();
    let all = description();
    for (path, status, hint) in [
        ("/api/v1/overview?form_ms=1", 400, "did you mean `from_ms`?"),
        ("/api/v1/overview?from_ms=x", 400, "openapi.json"),
        ("/api/v1/timeline?from_ms=9&to_ms=8", 400, "milliseconds since 1970"),
        ("/api/v1/timeline?from_ms=-9223372036854775808&to_ms=9223372036854775807", 400, "milliseconds since 1970"),
        ("/api/v1/devices/default/none/history", 404, "openapi.json"),
        ("/api/v2", 404, "openapi.json"),
        ("/assets/..%2fopenapi.json", 404, "openapi.json"),
    ] {
        let answer = server.client().get(path);
        let mut found = Vec::new();
        violations(
            &serde_json::json!({ "$ref": "#/components/schemas/Error" }),
            &answer.json(),
            path,
            &all,
            &mut found,
        );
        assert_eq!((answer.status, &found), (status, &Vec::new()), "{path}: {}", answer.text());
        assert!(answer.json()["hint"].as_str().is_some_and(|text| text.contains(hint)), "{path}: {}", answer.text());
    }
}

#[test]
fn the_page_asks_nobody_else() {
    let server = Server::start();
    let page = server.client().get("/");
    assert!(page.head.contains("default-src 'none'"), "{}", page.head);
    let text = page.text();
    assert!(!text.contains("http://") && !text.contains("https://") && !text.contains("style="), "{text}");
    let mut assets = 0;
    for part in text.split('"').filter(|part| part.starts_with("/assets/")) {
        assert_eq!(server.client().get(part).status, 200, "{part}");
        assets += 1;
    }
    assert!(assets >= 3);
}
