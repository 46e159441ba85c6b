//! Logging in with what a credential helper says.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use moored::config::Auth;
use moored::source::{self, Limits, SourceError};

use super::{Host, answer, program, settings};
use crate::support::git_http::GitHttp;
use crate::support::origin::Origin;
use crate::support::put;

/// base64 of `me:s3cr3t-token`.
const BASIC: &str = "bWU6czNjcjN0LXRva2Vu";

/// Writes a helper that does this.
fn helper(host: &Host, script: &str) -> Auth {
    let path = host.directory.path().join("helper");
    put(&path, format!("#!/bin/sh\n{script}\n"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let words = [path.to_str().unwrap(), "--for", "tests"];
    Auth::Helper {
        credential_helper: words.map(str::to_owned).to_vec(),
    }
}

#[tokio::test]
async fn asks_in_gits_words_and_logs_in() {
    let (origin, first) = Origin::with_main(&[("a", "1")]);
    let server = GitHttp::serve(origin.directory.path());
    server.demand(BASIC);
    let (host, url) = (Host::new(), server.url("state.git"));
    let seen = host.directory.path().join("seen");
    let script = format!(
        "{{ echo \"$@\"; cat; }} > {}; echo capability=x; echo username=me; \
         echo password=s3cr3t-token",
        seen.display()
    );
    let auth = helper(&host, &script);
    let fetched = host.fetch_as(&url, "main", auth.clone()).await;
    assert_eq!(fetched, Ok(answer(&first)));
    let asked = std::fs::read_to_string(&seen).unwrap();
    let port = url.split(['/', ':']).nth(4).unwrap();
    let expected =
        format!("--for tests get\nprotocol=http\nhost=127.0.0.1:{port}\npath=state.git\n\n");
    assert_eq!(asked, expected);

    // Not for a remote that it has nothing to say of.
    std::fs::remove_file(&seen).unwrap();
    let fetched = host.fetch_as(&origin.url(), "main", auth).await;
    assert_eq!(fetched, Ok(answer(&first)));
    assert!(!seen.exists());
}

#[tokio::test]
async fn says_what_is_wrong_and_not_what_was_said() {
    let (origin, _) = Origin::with_main(&[("a", "1")]);
    let server = GitHttp::serve(origin.directory.path());
    server.demand(BASIC);
    let (host, url) = (Host::new(), server.url("state.git"));
    for script in [
        "echo username=me; echo password=wr0ng >&2; exit 1",
        "echo username=wr0ng",
        "echo password=wr0ng",
        "printf 'username=me\\npassword=\\n'",
        "echo quit=1",
    ] {
        let auth = helper(&host, script);
        let error = host.fetch_as(&url, "main", auth).await.unwrap_err();
        assert!(
            matches!(&error, SourceError::AuthFile { path, .. } if path.ends_with("helper")),
            "{script}: {error}"
        );
        assert!(!format!("{error} {error:?}").contains("wr0ng"), "{error}");
    }
    assert!(server.take_requests().is_empty());
    let wrong = helper(&host, "echo username=me; echo password=wr0ng");
    let error = host.fetch_as(&url, "main", wrong).await.unwrap_err();
    assert!(matches!(error, SourceError::AuthFailed { .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains("wr0ng"), "{error}");
    for program in [vec![], vec!["helper"], vec!["/nonexistent/helper"]] {
        let credential_helper = program.into_iter().map(str::to_owned).collect();
        let auth = Auth::Helper { credential_helper };
        let error = host.fetch_as(&url, "main", auth).await.unwrap_err();
        assert!(matches!(error, SourceError::AuthFile { .. }), "{error}");
    }
}

#[tokio::test]
async fn ends_a_helper_that_hangs() {
    let host = Host::new();
    let auth = helper(&host, "exec sleep 600");
    let limits = Limits {
        deadline: Duration::from_millis(500),
        ..Limits::default()
    };
    let begun = Instant::now();
    let settings = settings("http://127.0.0.1:1/state.git", "main", auth);
    let error = source::fetch_within(&settings, &host.mirror(), program(), &limits)
        .await
        .unwrap_err();
    assert!(matches!(error, SourceError::TimedOut { .. }), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(30));
}
