//! Asked by pages in a browser, and by who says things that are not so.

use std::io::Write as _;
use std::net::TcpStream;

use super::{SECRET, Stage, signed};
use crate::support::webhook::{answer, request, send, signature, status};

/// Returns a request with nothing but these lines.
fn raw(lines: &str) -> Vec<u8> {
    format!("{}\r\n\r\n", lines.replace('\n', "\r\n")).into_bytes()
}

#[test]
fn a_page_in_a_browser_and_a_name_of_its_own_get_nothing() {
    let (mut stage, address) = Stage::listening();
    let body = "{}";
    let good = format!("X-Hub-Signature-256: {}\r\n", signature(SECRET, body));
    // Even with the secret: no sender of webhooks is a page.
    for header in [
        "Origin: https://evil.example",
        "Origin: null",
        "Origin: http://127.0.0.1",
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-origin",
        "Sec-Fetch-Site: none\r\nSec-Fetch-Site: cross-site",
    ] {
        let headers = format!("{good}{header}\r\n");
        for head in ["POST /webhook", "GET /healthz", "OPTIONS /webhook"] {
            let status = send(address, &request(head, &headers, body));
            assert_eq!(status, 403, "{head} {header}");
        }
    }
    // A person who looks.
    let typed = request("GET /healthz", "Sec-Fetch-Site: none\r\n", "");
    assert_eq!(send(address, &typed), 200);

    let by = |host: &str| {
        send(
            address,
            &raw(&format!("GET /healthz HTTP/1.1\nHost: {host}")),
        )
    };
    for host in [
        "127.0.0.1",
        "127.0.0.1:9640",
        "[::1]:9640",
        "192.0.2.7",
        "LocalHost:1",
    ] {
        assert_eq!(by(host), 200, "{host}");
    }
    for host in [
        "evil.example",
        "evil.example:80",
        "127.0.0.1.evil.example",
        "x",
    ] {
        assert_eq!(by(host), 421, "{host}");
    }
    for host in ["", "a b", "http://x/", "x@127.0.0.1"] {
        assert_eq!(by(host), 400, "{host}");
    }
    for (lines, status) in [
        ("GET /healthz HTTP/1.1", 400),
        ("GET /healthz HTTP/1.0", 200),
        (
            "GET /healthz HTTP/1.1\nHost: 127.0.0.1\nHost: evil.example",
            400,
        ),
        (
            "GET http://evil.example/healthz HTTP/1.1\nHost: 127.0.0.1",
            421,
        ),
        ("GET /nothing HTTP/1.1\nHost: evil.example", 421),
    ] {
        assert_eq!(send(address, &raw(lines)), status, "{lines}");
    }
    assert!(!stage.rung());
    // A proxy hands on the name that it was asked by; the signature is what counts.
    let by_name = String::from_utf8(signed(body)).unwrap();
    let by_name = by_name.replace("Host: 127.0.0.1", "Host: git-hooks.example.org");
    assert_eq!(send(address, by_name.as_bytes()), 202);
    assert!(stage.rung());

    stage.follow(
        "listen: 127.0.0.1:0\nlisten_names: [Moored.example.org]\nwebhook: {secret_file: SECRET}\n",
    );
    for (host, status) in [
        ("moored.example.org", 200),
        ("MOORED.example.org.:80", 200),
        ("example.org", 421),
    ] {
        assert_eq!(by(host), status, "{host}");
    }
}

#[test]
fn an_answer_says_nothing_but_its_status() {
    let (stage, address) = Stage::listening();
    let marked = "<script>mark7301</script>";
    let headers = format!("X-Mark: {marked}\r\nX-Hub-Signature-256: sha256={marked}\r\n");
    for head in [
        "GET /mark7301",
        "GET /mark7301?mark7301",
        "POST /webhook",
        "POST /webhook?mark7301",
        "DELETE /webhook",
        "MARK7301 /healthz",
        "GET /healthz",
    ] {
        let answer = answer(address, &request(head, &headers, marked));
        let lower = answer.to_ascii_lowercase();
        assert!(!lower.contains("mark7301"), "{answer}");
        for line in [
            "x-content-type-options: nosniff\r\n",
            "content-security-policy: default-src 'none'; frame-ancestors 'none'\r\n",
            "cache-control: no-store\r\n",
        ] {
            assert!(lower.contains(line), "{head}: {answer}");
        }
        for name in ["server:", "x-powered-by:", "access-control", "set-cookie"] {
            assert!(!lower.contains(name), "{head}: {answer}");
        }
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        assert_eq!(body, if head == "GET /healthz" { "ok\n" } else { "" });
    }
    let allowed = answer(address, &request("DELETE /webhook", "", ""));
    assert!(
        allowed.contains("405 ") && allowed.contains("allow: POST\r\n"),
        "{allowed}"
    );
    let allowed = answer(address, &request("POST /healthz", "", ""));
    assert!(
        allowed.contains("405 ") && allowed.contains("allow: GET,HEAD\r\n"),
        "{allowed}"
    );
    drop(stage);
}

#[test]
fn a_length_that_is_a_lie_rings_nothing() {
    let (stage, address) = Stage::listening();
    let of = |signed: &str| signature(SECRET, signed);
    let head = "POST /webhook HTTP/1.1\nHost: 127.0.0.1\nX-Hub-Signature-256:";
    for (what, lines, body, statuses) in [
        (
            "shorter than the body",
            format!("{head} {}\nContent-Length: 1", of("{}")),
            "{}",
            [401, 401],
        ),
        (
            "no number",
            format!("{head} {}\nContent-Length: +2", of("{}")),
            "{}",
            [400, 0],
        ),
        (
            "negative",
            format!("{head} {}\nContent-Length: -1", of("{}")),
            "{}",
            [400, 0],
        ),
        (
            "beyond all numbers",
            format!("{head} {}\nContent-Length: 99999999999999999999", of("{}")),
            "{}",
            [400, 0],
        ),
        (
            "a coding that is unknown",
            format!("{head} {}\nTransfer-Encoding: chunked, mark", of("{}")),
            "2\r\n{}\r\n0\r\n\r\n",
            [400, 0],
        ),
        (
            "a piece without a length",
            format!("{head} {}\nTransfer-Encoding: chunked", of("{}")),
            "zz\r\n{}\r\n0\r\n\r\n",
            [400, 0],
        ),
        (
            "both, and the body of one",
            format!(
                "{head} {}\nContent-Length: 2\nTransfer-Encoding: chunked",
                of("{}")
            ),
            "{}",
            [400, 0],
        ),
    ] {
        let bytes = [raw(&lines), body.into()].concat();
        let status = send(address, &bytes);
        assert!(statuses.contains(&status), "{what}: {status}");
        assert!(!stage.rung(), "{what} rang");
    }
    // What comes after a request is no second one.
    let health = request("GET /healthz", "", "");
    let answers = answer(address, &[signed("{}"), health].concat());
    assert_eq!(answers.matches("HTTP/1.1").count(), 1, "{answers}");
    // One that goes away in the middle.
    let mut gone = TcpStream::connect(address).unwrap();
    let cut = signed("{\"a\": 1}");
    gone.write_all(&cut[..cut.len() - 3]).unwrap();
    gone.shutdown(std::net::Shutdown::Write).unwrap();
    assert_ne!(status(&mut gone), 202);
    assert!(stage.rung(), "the one that was whole");
    assert!(!stage.rung());
    // A hundred headers are enough for anybody.
    let many = "X-A: b\r\n".repeat(200);
    assert_eq!(send(address, &request("GET /healthz", &many, "")), 431);
}
