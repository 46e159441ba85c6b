//! Webhooks, sent to the controller as it is run: what is heard at once, and what is not heard.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::running::Running;
use super::stage::Stage;
use crate::support::docker_cli::eventually;
use crate::support::git_http::GitHttp;
use crate::support::registry::free_port;
use crate::support::webhook::{request, send, signed};

/// A commit is to be on the host within 2 s of its webhook on an idle machine; this one is not
/// idle.
const AT_ONCE: Duration = Duration::from_secs(6);

/// A stage whose repository is behind HTTP, where nothing is seen before the poll.
struct Hooked {
    stage: Stage,
    server: GitHttp,
    port: u16,
    /// The secret of the stage, so that the look at the end of each test finds where it turns up.
    secret: String,
}

impl Hooked {
    fn new(area: &str) -> Self {
        let stage = Stage::new(area);
        let hooked = Self {
            secret: stage.canary.value(),
            server: GitHttp::serve(stage.dir.path()),
            port: free_port(),
            stage,
        };
        hooked.keep_secret(&hooked.secret);
        hooked.configure();
        hooked
    }

    /// Writes the file of the secret, as it should be written.
    fn keep_secret(&self, secret: &str) {
        let path = self.stage.path("webhook-secret");
        moored::files::write_atomically(&path, secret.as_bytes(), 0o600).unwrap();
    }

    fn configure(&self) {
        let file = self.stage.path("webhook-secret").display().to_string();
        let more = format!(
            "listen: 127.0.0.1:{}\nwebhook: {{secret_file: '{file}'}}\n",
            self.port
        );
        let url = self.server.url("state/.git");
        self.stage.configure(&url, "1h", &more);
    }

    /// Starts the controller and waits for its first release.
    fn run(&self) -> Running {
        let controller = self.stage.start(&["run"]);
        controller.says(&format!("listens on http://127.0.0.1:{}", self.port));
        controller.says("released as 1-");
        self.asked();
        controller
    }

    fn send(&self, bytes: &[u8]) -> u16 {
        send(("127.0.0.1", self.port), bytes)
    }

    /// Waits until the controller rests; returns how often it asked which commits there are.
    fn asked(&self) -> usize {
        let mut asked = 0;
        let mut rests_since = Instant::now();
        while rests_since.elapsed() < Duration::from_secs(4) {
            let requests = self.server.take_requests();
            if !requests.is_empty() {
                rests_since = Instant::now();
            }
            let of_refs = requests
                .iter()
                .filter(|one| one.target.contains("info/refs"));
            asked += of_refs.count();
            std::thread::sleep(Duration::from_millis(20));
        }
        asked
    }
}

#[test]
fn a_signed_webhook_brings_a_commit_at_once_and_another_one_nothing() {
    let hooked = Hooked::new("hook");
    let stage = &hooked.stage;
    let (v1, v2, v3) = (stage.app("v1"), stage.app("v2"), stage.app("v3"));
    stage.commit_web("v1", &v1, "");
    let controller = hooked.run();
    stage.serves("v1");

    stage.commit_web("v2", &v2, "");
    let body = "{\"ref\": \"refs/heads/main\"}";
    let before = stage.snapshot();
    let unsigned = request("POST /webhook", "", body);
    let forged = signed("not the secret at all", body);
    for bytes in [&unsigned, &forged] {
        assert_eq!(hooked.send(bytes), 401);
    }
    assert_eq!(hooked.asked(), 0, "it looked");
    stage.unchanged(&before);
    controller.says("a webhook was refused: it is not signed");

    let began = Instant::now();
    assert_eq!(hooked.send(&signed(&hooked.secret, body)), 202);
    stage.serves("v2");
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    hooked.asked();

    // As GitLab does it.
    stage.commit_web("v3", &v3, "");
    let token = format!("X-Gitlab-Token: {}\r\n", hooked.secret);
    assert_eq!(hooked.send(&request("POST /webhook", &token, "{}")), 202);
    stage.serves("v3");
    assert_eq!(controller.said().matches("was refused").count(), 1);
    assert_eq!(hooked.send(&request("GET /healthz", "", "")), 200);
}

#[test]
fn many_webhooks_make_few_passes() {
    let hooked = Hooked::new("hooks");
    let stage = &hooked.stage;
    stage.commit_web("v1", &stage.app("v1"), "");
    let controller = hooked.run();
    let bytes = signed(&hooked.secret, "{}");
    assert_eq!(hooked.send(&bytes), 202);
    let of_one = hooked.asked();
    assert!(of_one > 0);

    let before = stage.journal_rows();
    let port = hooked.port;
    let began = Instant::now();
    let send_on = || {
        let mut sent = 0;
        while began.elapsed() < Duration::from_secs(5) {
            assert_eq!(send(("127.0.0.1", port), &bytes), 202);
            sent += 1;
        }
        sent
    };
    let sent: usize = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..4).map(|_| scope.spawn(send_on)).collect();
        let sent = senders.into_iter().map(|sender| sender.join().unwrap());
        sent.sum()
    });
    assert!(sent >= 200, "{sent}");
    // One at once, and then after 1, 2 and 4 s.
    let asked = hooked.asked();
    assert!((of_one..=5 * of_one).contains(&asked), "{asked} {of_one}");
    assert_eq!(stage.journal_rows(), before);
    drop(controller);
}

#[test]
fn a_secret_that_cannot_be_used_is_refused_and_a_new_one_is_read_again() {
    let hooked = Hooked::new("hook-secret");
    let stage = &hooked.stage;
    stage.commit_web("v1", &stage.app("v1"), "");
    hooked.keep_secret("short");
    let refused = stage.moored(&["run"]).exits(64);
    refused.says(&[
        "webhook.secret_file",
        "has 5 characters",
        "openssl rand -hex 32",
    ]);
    // Nobody else needs it.
    stage.moored(&["plan"]).exits(2);

    hooked.keep_secret(&hooked.secret);
    let controller = hooked.run();
    hooked.keep_secret("short");
    controller.signal("HUP");
    controller.says("the old ones stay: ");
    assert_eq!(hooked.send(&signed(&hooked.secret, "{}")), 202);

    let new = "another one, of a length that will do";
    hooked.keep_secret(new);
    controller.signal("HUP");
    controller.says("the settings were read again");
    assert_eq!(hooked.send(&signed(&hooked.secret, "{}")), 401);
    assert_eq!(hooked.send(&signed(new, "{}")), 202);
}

#[test]
fn a_host_is_kept_when_its_address_is_taken() {
    let hooked = Hooked::new("hook-taken");
    let stage = &hooked.stage;
    stage.commit_web("v1", &stage.app("v1"), "");
    let taken = TcpListener::bind(("127.0.0.1", hooked.port)).unwrap();
    let controller = stage.start(&["run"]);
    controller.says("can't listen on");
    stage.serves("v1");
    drop(taken);
    controller.says("listens on");
    eventually("it answers", || {
        hooked.send(&request("GET /healthz", "", "")) == 200
    });
}
