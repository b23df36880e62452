//! Rules, webhooks, acknowledgements.

use crate::support::{Server, eventually, payload, write};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc;

/// Takes webhook calls: answers the first with 500 and the next with 200, and hands on the bodies.
fn webhook() -> (String, mpsc::Receiver<serde_json::Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (bodies, received) = mpsc::channel();
    std::thread::spawn(move || {
        for (at, stream) in listener.incoming().enumerate() {
            let Ok(stream) = stream else { return };
            let mut reader = BufReader::new(stream);
            let (mut line, mut len) = (String::new(), 0);
            while reader.read_line(&mut line).is_ok_and(|count| count > 2) {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    len = value.trim().parse().unwrap_or(0);
                }
                line.clear();
            }
            let mut body = vec![0; len];
            let _ = reader.read_exact(&mut body);
            let status = if at == 0 { "500 No" } else { "200 OK" };
            let _ = reader
                .get_mut()
                .write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").as_bytes());
            if bodies.send(serde_json::from_slice(&body).unwrap_or_default()).is_err() {
                return;
            }
        }
    });
    (format!("http://{address}/hook"), received)
}

#[test]
fn an_alert_goes_to_the_page_and_to_the_webhook_until_it_is_taken() {
    let (url, received) = webhook();
    let folder = tempfile::tempdir().expect("a folder");
    let rules = format!(
        "[[webhook]]\nname = \"ops\"\nurl = \"{url}\"\n[[rule]]\nname = \"stale\"\nkind = \"staleness\"\nolder_than = \"1d\"\nwebhooks = [\"ops\"]\n"
    );
    write(&folder.path().join("rules.toml"), &rules);
    let server = Server::in_folder(folder, |_| {});
    let client = server.client();
    assert_eq!(client.post(&payload(0).1).status, 200);
    eventually("the alert begins", || client.get("/api/v1/alerts").json()["alerts"][0]["rule"] == "stale");
    for _ in 0..2 {
        let body = received.recv_timeout(std::time::Duration::from_secs(60)).expect("a call");
        assert_eq!((&body["rule"], &body["status"]), (&"stale".into(), &"firing".into()));
        assert_eq!(body["subject"]["model"], "ocr");
    }

    let id = client.get("/api/v1/alerts").json()["alerts"][0]["id"].to_string();
    let path = format!("/api/v1/alerts/{id}/acknowledge");
    assert_eq!(client.send("POST", &path, &[], b"").expect("an answer").status, 415, "a form of a foreign page");
    let json = [("content-type", "application/json")];
    assert_eq!(client.send("POST", &path, &json, b"").expect("an answer").status, 200);
    assert_eq!(client.get("/api/v1/alerts").json()["alerts"][0]["acknowledged_by"], "local");
    assert_eq!(client.send("POST", "/api/v1/alerts/99/acknowledge", &json, b"").expect("an answer").status, 404);

    // Rules that are wrong do not take the place of those in force; rules that are gone end their alerts.
    let path = server.folder.path().join("rules.toml");
    write(&path, "[[rule]]\nname = \"stale\"\nkind = \"stalenes\"\n");
    let refused = client.send("POST", "/api/v1/rules/reload", &json, b"").expect("an answer");
    assert_eq!((refused.status, refused.json()["hint"].as_str()), (400, Some("did you mean `staleness`?")));
    assert_eq!(client.get("/api/v1/rules").json()["rules"][0]["name"], "stale");
    write(&path, "");
    assert_eq!(client.send("POST", "/api/v1/rules/reload", &json, b"").expect("an answer").status, 200);
    eventually("the alert ends", || client.get("/api/v1/alerts").json()["alerts"][0]["ended_ms"].is_number());
    let entries = client.get("/api/v1/audit").json()["entries"].clone();
    let actions: Vec<&str> =
        entries.as_array().expect("entries").iter().filter_map(|entry| entry["action"].as_str()).collect();
    assert_eq!(actions, ["rules.load", "rules.reject", "alert.acknowledge", "rules.load"]);
}
