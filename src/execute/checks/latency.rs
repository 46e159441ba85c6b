//! Measures how fast an address answers.

use std::time::Duration;

use url::Url;

use crate::desired::checks::Answer;
use crate::probe::{self, ProbeFailure};

/// Returns the median of so many requests, one after the other.
///
/// Only answers as wanted count: a page of errors is fast.
///
/// # Errors
/// The first request that fails.
pub async fn measure(
    url: &Url,
    expect: &Answer,
    samples: u16,
    limit_each: Duration,
) -> Result<Duration, ProbeFailure> {
    let mut took = Vec::new();
    for _ in 0..samples {
        took.push(probe::http(url, expect, limit_each).await?.took);
    }
    Ok(median(took))
}

/// Returns the one in the middle, or the mean of the two there; zero of none.
fn median(mut took: Vec<Duration>) -> Duration {
    took.sort_unstable();
    let middle = |at: usize| took.get(at).copied().unwrap_or_default();
    let half = took.len() / 2;
    if took.len() % 2 == 1 {
        middle(half)
    } else {
        (middle(half) + middle(half.saturating_sub(1))) / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::checks::WantedStatus;
    use crate::probe::tests::{Server, answer};

    #[test]
    fn one_slow_answer_does_not_move_the_median() {
        let ms = |all: &[u64]| median(all.iter().copied().map(Duration::from_millis).collect());
        assert_eq!(ms(&[]), Duration::ZERO);
        assert_eq!(ms(&[3]), Duration::from_millis(3));
        assert_eq!(ms(&[9000, 1, 3, 2, 2]), Duration::from_millis(2));
        assert_eq!(ms(&[4, 1, 3, 9000]), Duration::from_micros(3500));
    }

    #[tokio::test]
    async fn every_sample_must_be_as_wanted() {
        let success = Answer::of_status(WantedStatus::Success);
        let each = Duration::from_secs(20);
        let server = Server::answering(200, "ok").await;
        let median = measure(&server.url, &success, 5, each).await.unwrap();
        assert!(median > Duration::ZERO && median < each);
        assert_eq!(server.asked(), 5);
        let server = Server::new(|n| answer(if n < 3 { 200 } else { 503 }, "")).await;
        let failure = measure(&server.url, &success, 5, each).await.unwrap_err();
        assert_eq!(failure.status(), Some(503));
        assert_eq!(server.asked(), 4);
    }
}
