//! Asks the proxy itself which configuration it has loaded.

use std::time::Duration;

use tokio::time::Instant;
use url::Url;

use super::ProxyError;
use crate::probe::{self, ProbeFailure};

/// Asks once which configuration is loaded.
///
/// The certificate is not checked: the address is a listener of our own proxy, and a marker is no
/// secret. The address is connected to as it is written: where its host is a name, that name
/// must lead to the proxy (by DNS or `/etc/hosts`); another name than the one connected to can't
/// be asked for.
///
/// # Errors
/// Nothing was answered within `within`, or not with a status of 200 to 299.
pub async fn loaded(marker: &Url, within: Duration) -> Result<String, ProbeFailure> {
    probe::text(marker, within).await
}

/// Asks until the proxy answers with the marker that is wanted.
///
/// Every question is a new connection. Three times, with a pause, several in a row must be
/// answered so: an old worker may accept for a moment more, and after a reload that failed half
/// way two configurations may answer in turn for ever. A worker that still serves an old
/// connection is not waited for. See [`loaded`] for how it is asked.
///
/// # Errors
/// It is not answered within `within`; with what was seen last and what that means.
pub async fn prove(
    marker: &Url,
    wanted: &str,
    within: Duration,
    tell: &(dyn Fn(String) + Send + Sync),
) -> Result<(), ProxyError> {
    let is_right = |seen: &Seen| matches!(seen, Ok(text) if text == wanted);
    let wanted = probe::excerpt(wanted.as_bytes());
    ask(marker, &is_right, wanted, within, tell).await
}

/// Asks until the proxy does not answer with a marker any more, as often and as long as [`prove`]: with
/// something else, or nobody listens there. That nothing comes is no proof.
///
/// # Errors
/// It still answers so after `within`.
pub async fn prove_gone(
    marker: &Url,
    unwanted: &str,
    within: Duration,
    tell: &(dyn Fn(String) + Send + Sync),
) -> Result<(), ProxyError> {
    let is_right = |seen: &Seen| match seen {
        Ok(text) => text != unwanted,
        Err(
            ProbeFailure::Status { .. }
            | ProbeFailure::Body(_)
            | ProbeFailure::Unreachable(_)
            | ProbeFailure::ClosedAtOnce
            // `return 444`, which many have for whoever asks for no name of theirs.
            | ProbeFailure::Broken(_),
        ) => true,
        Err(
            ProbeFailure::Client(_) | ProbeFailure::NoAnswer(_) | ProbeFailure::Unfinished { .. },
        ) => false,
    };
    let wanted = format!("anything but {}", probe::excerpt(unwanted.as_bytes()));
    ask(marker, &is_right, wanted, within, tell).await
}

/// What was answered.
type Seen = Result<String, ProbeFailure>;

async fn ask(
    marker: &Url,
    is_right: &(dyn Fn(&Seen) -> bool + Send + Sync),
    wanted: String,
    within: Duration,
    tell: &(dyn Fn(String) + Send + Sync),
) -> Result<(), ProxyError> {
    let began = Instant::now();
    let mut told = began;
    let (mut in_a_row, mut some) = (0, false);
    loop {
        let left = within.saturating_sub(began.elapsed());
        let seen = loaded(marker, left.clamp(SHORTEST_ANSWER, LONGEST_ANSWER)).await;
        if is_right(&seen) {
            in_a_row += 1;
            some = true;
            if in_a_row == IN_A_ROW {
                return Ok(());
            }
            // The end of the time does not cut off a row that has begun: it has its own.
            if in_a_row % AT_ONCE == 0 {
                tokio::time::sleep(BETWEEN_LOOKS).await;
            }
            continue;
        }
        in_a_row = 0;
        if told.elapsed() >= BETWEEN_WORDS {
            told = Instant::now();
            tell(format!("GET {marker}: {}", short(&seen)));
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
        if began.elapsed() >= within {
            let means = if some { IN_TURN } else { meaning(&seen) };
            return Err(ProxyError::NotProved {
                marker: marker.to_string(),
                wanted,
                seen: format!("{} ({means})", short(&seen)),
                within,
            });
        }
    }
}

/// Questions without a pause between. Two that share an address answer one of two each.
const AT_ONCE: u32 = 8;

/// How often the marker must be answered without another answer between: three times at once.
const IN_A_ROW: u32 = 3 * AT_ONCE;

/// What it means when it is answered now so and now so. Caddy's is
/// <https://github.com/caddyserver/caddy/issues/7175>.
const IN_TURN: &str = "in turn with the wanted one: two processes listen there, or the proxy keeps \
    a half loaded configuration, as Caddy does after an address was in use; restart it";

/// Time between two questions.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// Time between two words to the person who waits.
const BETWEEN_WORDS: Duration = Duration::from_secs(2);

/// The last question has time to be answered too, or all that is known in the end is that it was
/// not.
const SHORTEST_ANSWER: Duration = Duration::from_millis(250);

/// A worker that hangs is not the only one.
const LONGEST_ANSWER: Duration = Duration::from_secs(2);

fn short(seen: &Seen) -> String {
    match seen {
        Ok(text) => format!("answered \"{}\"", probe::excerpt(text.as_bytes())),
        Err(failure) => failure.to_string(),
    }
}

fn meaning(seen: &Seen) -> &'static str {
    match seen {
        Ok(_) => {
            "another configuration is loaded; a proxy that can't apply a new one, as when an \
             address is in use, goes on with the old one and says why in its error log only"
        }
        Err(ProbeFailure::Status { .. } | ProbeFailure::Body(_)) => {
            "the configuration that is loaded has no marker there, or another server answers for \
             this address"
        }
        Err(ProbeFailure::Unreachable(_) | ProbeFailure::ClosedAtOnce) => {
            "nobody listens there: the proxy is not running, or listens on another address"
        }
        Err(
            ProbeFailure::Client(_)
            | ProbeFailure::NoAnswer(_)
            | ProbeFailure::Unfinished { .. }
            | ProbeFailure::Broken(_),
        ) => "the proxy's error log may say why",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::probe::tests::{Act, Server, answer, closed_port};

    const SHORT: Duration = Duration::from_millis(300);

    async fn fails(url: &Url) -> String {
        let asked = Instant::now();
        let error = prove(url, "new", SHORT, &|_| {}).await.unwrap_err();
        let took = asked.elapsed();
        assert!(took >= SHORT && took < Duration::from_secs(5), "{took:?}");
        let shown = error.to_string();
        let begin = format!("{url} did not answer \"new\" within 300ms: ");
        shown.strip_prefix(&begin).unwrap().to_owned()
    }

    #[tokio::test]
    async fn many_answers_in_a_row_prove_it() {
        let old = [0, 3, 4 + usize::try_from(IN_A_ROW).unwrap() - 1];
        let text = move |n| if old.contains(&n) { "old" } else { "new" };
        let server = Server::new(move |n| answer(200, text(n))).await;
        let enough = Duration::from_secs(20);
        prove(&server.url, "new", enough, &|_| {}).await.unwrap();
        let asked = old[2] + 1 + usize::try_from(IN_A_ROW).unwrap();
        assert_eq!(server.asked(), asked);
    }

    #[tokio::test]
    async fn what_is_gone_answers_no_more() {
        let gone = async |url: &Url| prove_gone(url, "old", SHORT, &|_| {}).await;
        let old = 5;
        let text = move |n| if n < old { "old" } else { "another" };
        let server = Server::new(move |n| answer(200, text(n))).await;
        gone(&server.url).await.unwrap();
        assert_eq!(server.asked(), old + usize::try_from(IN_A_ROW).unwrap());
        gone(&Server::answering(404, "x").await.url).await.unwrap();
        let nobody = format!("http://127.0.0.1:{}/", closed_port().await);
        gone(&nobody.parse().unwrap()).await.unwrap();
        let says_nothing = Server::new(|_| Vec::new()).await;
        gone(&says_nothing.url).await.unwrap();
        let hangs = Server::new(|_| vec![Act::Hang]).await;
        gone(&hangs.url).await.unwrap_err();
        let error = gone(&Server::answering(200, "old").await.url).await;
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("did not answer \"anything but old\""),
            "{error}"
        );
    }

    #[tokio::test]
    async fn two_that_answer_in_turn_prove_nothing() {
        let text = |n: usize| if n % 9 == 8 { "old" } else { "new" };
        let server = Server::new(move |n| answer(200, text(n))).await;
        let said = fails(&server.url).await;
        assert!(
            said.starts_with("answered \"old\" (in turn with the wanted one: "),
            "{said}"
        );
    }

    #[tokio::test]
    async fn what_was_seen_last_is_told_with_what_it_means() {
        let hangs = Server::new(|_| vec![Act::Hang]).await;
        let nobody = format!("http://127.0.0.1:{}/", closed_port().await);
        let lines = [
            fails(&Server::answering(200, "old\u{1b}\n").await.url).await,
            fails(&Server::answering(404, "new").await.url).await,
            fails(&hangs.url).await,
            fails(&nobody.parse().unwrap()).await,
        ];
        insta::assert_snapshot!(lines.join("\n"), @r#"
        answered "old\u{1b}" (another configuration is loaded; a proxy that can't apply a new one, as when an address is in use, goes on with the old one and says why in its error log only)
        answered 404 Not Found, wanted 200 to 299 (the configuration that is loaded has no marker there, or another server answers for this address)
        no answer within 300ms (the proxy's error log may say why)
        can't connect: connection refused (nobody listens there: the proxy is not running, or listens on another address)
        "#);
    }

    #[tokio::test]
    async fn an_end_of_the_time_does_not_cut_a_row() {
        let server = Server::answering(200, "new").await;
        prove(&server.url, "new", Duration::ZERO, &|_| {})
            .await
            .unwrap();
        assert_eq!(server.asked(), usize::try_from(IN_A_ROW).unwrap());
    }

    #[tokio::test]
    async fn who_waits_hears_of_it() {
        let server = Server::answering(200, "old").await;
        let heard = Mutex::new(Vec::new());
        let tell = |word: String| heard.lock().unwrap().push(word);
        let limit = BETWEEN_WORDS + SHORT;
        prove(&server.url, "new", limit, &tell).await.unwrap_err();
        let expected = format!("GET {}: answered \"old\"", server.url);
        assert_eq!(*heard.lock().unwrap(), [expected]);
    }
}
