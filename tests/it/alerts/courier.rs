//! What lies in the outbox is sent, beside everything else, and to nobody else.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use moored::alerts::{Courier, Message, Office};
use moored::config::Config;
use moored::events::{Event, Events};
use moored::host::View;
use moored::record::Change;
use moored::routes::Route;
use sha2::Sha256;

use super::routes;
use crate::support::bench::Bench;
use crate::support::receiver::Receiver;

/// A host with one receiver, and what was told to people there.
struct Post {
    bench: Bench,
    receiver: Receiver,
    said: Arc<Mutex<Vec<String>>>,
}

const SECRET: &str = "0123456789abcdef-secret";

impl Post {
    fn new() -> Self {
        let post = Self {
            bench: Bench::new(),
            receiver: Receiver::new(),
            said: Arc::default(),
        };
        post.put("url", &post.receiver.url(), 0o600);
        post.put("secret", SECRET, 0o600);
        post
    }

    fn put(&self, name: &str, text: &str, mode: u32) {
        let path = self.bench.place(name);
        moored::files::write_atomically(&path, text.as_bytes(), mode).unwrap();
    }

    fn routes(&self, text: &str) -> Vec<Route> {
        let dir = self.bench.place("").display().to_string();
        routes(&text.replace("/bench/", &dir))
    }

    fn view(&self, routes: &str) -> View {
        let said = Arc::clone(&self.said);
        let events = Events::new(move |event| {
            #[expect(clippy::wildcard_enum_match_arm, reason = "the rest is not of this")]
            let text = match event {
                Event::NotNotified { error, .. } => error,
                Event::RouteOpen { path } => format!("open: {path}"),
                _ => return,
            };
            said.lock().unwrap().push(text);
        });
        let view = self.bench.view();
        let config = Config {
            notify: self.routes(routes),
            ..view.config
        };
        View {
            config,
            events,
            ..view
        }
    }

    fn office(&self, routes: &str) -> Office {
        Office::of(&self.view(routes), self.bench.record())
    }

    /// Puts messages into the outbox.
    fn write(&self, texts: &[&str]) {
        let route = self.bench.place("url").display().to_string();
        let messages = texts.iter().map(|text| (route.clone(), message(text)));
        let change = Change {
            messages: messages.collect(),
            ..Change::default()
        };
        self.bench.record().tell(&change, self.now()).unwrap();
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.bench.clock.seconds()).unwrap()
    }

    fn deliver(&self, routes: &str) {
        deliver(&self.office(routes), Duration::from_secs(20));
    }

    fn texts(&self) -> Vec<String> {
        let got = self.receiver.take().into_iter();
        let text = |got: serde_json::Value| got["text"].as_str().unwrap().to_owned();
        got.map(|got| text(got.json())).collect()
    }

    fn said(&self) -> String {
        self.said.lock().unwrap().join("\n")
    }
}

fn message(text: &str) -> String {
    let message = Message {
        event: "held".to_owned(),
        kinds: [moored::routes::Kind::Backend].into(),
        host: "h1".to_owned(),
        stack: Some("shop".to_owned()),
        dir: Some("production".to_owned()),
        text: text.to_owned(),
        at: Timestamp::UNIX_EPOCH,
        attempt: None,
    };
    serde_json::to_string(&message).unwrap()
}

/// Time goes by as it does: somebody else answers.
fn deliver(office: &Office, limit: Duration) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(office.deliver(limit));
}

const WEBHOOK: &str = "[{kind: webhook, url_file: /bench/url, private: true}]";

#[test]
fn a_document_is_sent_once_and_signed() {
    let post = Post::new();
    post.write(&["one", "two <&>"]);
    let signed =
        "[{kind: webhook, url_file: /bench/url, secret_file: /bench/secret, private: true}]";
    post.deliver(signed);
    let got = post.receiver.take();
    assert_eq!(got.len(), 2);
    for one in &got {
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.update(one.body.as_bytes());
        let digits = hex::encode(mac.finalize().into_bytes());
        let header = format!("x-moored-signature-256: sha256={digits}");
        assert!(one.head.contains(&header), "{}", one.head);
        assert!(one.head.contains("content-type: application/json"));
    }
    let instance = post.bench.record().instance().to_owned();
    let document = got[1].body.replace(&instance, "INSTANCE");
    insta::assert_snapshot!(document, @r#"{"at":"1970-01-01T00:00:00Z","dir":"production","event":"held","for":["backend"],"format":1,"host":"h1","id":"INSTANCE-2","stack":"shop","text":"two <&>"}"#);
    post.deliver(signed);
    assert!(post.receiver.take().is_empty(), "it was sent again");
    assert_eq!(post.said(), "");
}

#[test]
fn slack_gets_a_text_in_which_nothing_is_a_command() {
    let post = Post::new();
    post.write(&["<!channel> & more"]);
    post.deliver("[{kind: slack, url_file: /bench/url, private: true}]");
    assert_eq!(
        post.texts(),
        ["[h1] shop held: &lt;!channel&gt; &amp; more"]
    );
}

#[test]
fn what_is_not_taken_is_sent_later_in_its_order() {
    let post = Post::new();
    post.receiver.answers("500 Broken");
    post.write(&["one", "two"]);
    post.deliver(WEBHOOK);
    // The second waits for the first.
    assert_eq!(post.texts(), ["one"]);
    assert!(post.said().contains("answered 500"), "{}", post.said());
    // Not at once again, also by a process that has just started.
    post.deliver(WEBHOOK);
    assert!(post.texts().is_empty());
    post.receiver.answers("200 OK");
    post.bench.clock.advance(10);
    post.deliver(WEBHOOK);
    assert_eq!(post.texts(), ["one", "two"]);
    assert!(!post.said().contains("T0PSECRET"), "{}", post.said());
}

#[test]
fn what_nobody_takes_for_a_day_is_given_up() {
    let post = Post::new();
    post.receiver.answers("404 Gone");
    post.write(&["one"]);
    post.deliver(WEBHOOK);
    post.bench.clock.advance(24 * 60 * 60);
    post.deliver(WEBHOOK);
    assert!(
        post.said().contains("a message was given up"),
        "{}",
        post.said()
    );
    assert_eq!(post.bench.record().next_due().unwrap(), None);
}

#[test]
fn the_outbox_has_an_end_and_goes_nowhere_that_the_settings_do_not_name() {
    let post = Post::new();
    let texts: Vec<String> = (0..250).map(|n| n.to_string()).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    post.write(&texts);
    let route = post.bench.place("url").display().to_string();
    let oldest = post.bench.record().waiting_for(&route).unwrap();
    assert!(
        oldest[0].message.contains("\"text\":\"50\""),
        "{:?}",
        oldest[0]
    );
    for _ in 0..15 {
        post.deliver("[]");
    }
    assert!(post.receiver.take().is_empty());
    assert_eq!(post.bench.record().next_due().unwrap(), None);
}

#[test]
fn a_redirect_is_not_followed() {
    let (post, other) = (Post::new(), Receiver::new());
    post.receiver
        .answers(&format!("307 Elsewhere\r\nLocation: {}", other.url()));
    post.write(&["one"]);
    post.deliver(WEBHOOK);
    assert!(other.got().is_empty());
    assert!(post.said().contains("answered 307"), "{}", post.said());
    assert!(!post.said().contains("T0PSECRET"), "{}", post.said());
}

#[test]
fn an_address_inside_is_refused_and_one_that_others_can_read_is_told() {
    let post = Post::new();
    post.put("url", &post.receiver.url(), 0o640);
    post.write(&["one"]);
    post.deliver("[{kind: webhook, url_file: /bench/url}]");
    assert!(post.receiver.take().is_empty());
    let said = post.said();
    assert!(said.contains("private: true is not said"), "{said}");
    assert!(said.contains("open: "), "{said}");
    assert!(!said.contains("T0PSECRET"), "{said}");
}

#[test]
fn what_is_wrong_with_a_file_is_said_without_what_is_in_it() {
    let post = Post::new();
    post.put("url", "T0PSECRET no address", 0o600);
    post.write(&["one"]);
    post.deliver(WEBHOOK);
    post.put("url", &post.receiver.url(), 0o600);
    post.put("secret", "short", 0o600);
    post.bench.clock.advance(10);
    post.deliver(
        "[{kind: webhook, url_file: /bench/url, private: true, secret_file: /bench/secret}]",
    );
    std::fs::remove_file(post.bench.place("url")).unwrap();
    post.bench.clock.advance(20);
    post.deliver(WEBHOOK);
    let said = post.said();
    for text in [
        "is no address",
        "notify.secret_file",
        "failed to read notify.url_file",
    ] {
        assert!(said.contains(text), "no {text:?} in {said}");
    }
    assert!(!said.contains("T0PSECRET"), "{said}");
    assert!(post.receiver.take().is_empty());
}

/// One that takes connections and never says anything.
#[test]
fn a_receiver_that_hangs_keeps_nobody_waiting() {
    let post = Post::new();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/T0PSECRET", silent.local_addr().unwrap());
    post.put("silent", &url, 0o600);
    let route = post.bench.place("silent").display().to_string();
    let change = Change {
        messages: vec![(route, message("one"))],
        ..Change::default()
    };
    post.bench.record().tell(&change, post.now()).unwrap();
    post.write(&["one"]);
    let both = "[{kind: webhook, url_file: /bench/silent, private: true}, \
                {kind: webhook, url_file: /bench/url, private: true}]";
    let began = Instant::now();
    deliver(&post.office(both), Duration::from_secs(1));
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(post.texts(), ["one"], "the others get theirs");
}

#[test]
fn the_courier_sends_when_it_is_rung_and_what_was_left() {
    let post = Post::new();
    post.write(&["left"]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let courier = Courier::start(post.office("[]"));
        courier.follow(&post.routes(WEBHOOK));
        // Whether the first look came before or after, it is there at the ring.
        post.write(&["new"]);
        courier.ring();
        let began = Instant::now();
        while !post
            .receiver
            .got()
            .iter()
            .any(|got| got.body.contains("new"))
        {
            assert!(began.elapsed() < Duration::from_secs(20), "{}", post.said());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
}
