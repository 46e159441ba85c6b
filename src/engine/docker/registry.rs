//! Has the engine ask a registry: with the login for that registry and no other, and not while
//! the registry wants to be left in peace.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bollard::BollardRequest;
use bollard::auth::DockerCredentials;
use bollard::errors::Error;
use tokio::time::Instant;

use super::connection::{CALL_LIMIT, Docker};
use super::error;
use crate::engine::EngineError;
use crate::engine::reference::Reference;
use crate::registries::{Login, Logins, address};

/// Time for which a registry is left in peace after its first "too many requests", where it does
/// not say how long it wants. Limits count by the minute or by hours.
const FIRST_PEACE: Duration = Duration::from_secs(60);

/// Longest such time: what was refused should not wait for hours after the limit is lifted.
const LONGEST_PEACE: Duration = Duration::from_secs(15 * 60);

/// Longest time that a registry is granted when it says how long it wants.
const LONGEST_STATED: Duration = Duration::from_secs(60 * 60);

/// What the engine is to ask a registry with.
pub(super) struct Visit {
    registry: String,
    login: Option<Login>,
}

impl Visit {
    /// Returns the login in the form of the library.
    pub(super) fn credentials(&self) -> Option<DockerCredentials> {
        let to = DockerCredentials {
            serveraddress: Some(address(&self.registry).to_owned()),
            ..DockerCredentials::default()
        };
        Some(match self.login.as_ref()? {
            Login::Password { username, password } => DockerCredentials {
                username: Some(username.clone()),
                password: Some(password.expose().to_owned()),
                ..to
            },
            Login::IdentityToken(token) => DockerCredentials {
                identitytoken: Some(token.expose().to_owned()),
                ..to
            },
        })
    }
}

impl Docker {
    /// Returns the same engine, which is given these logins for the registries that it asks.
    #[must_use]
    pub fn with_logins(mut self, logins: Logins) -> Self {
        self.logins = logins;
        self
    }

    /// Prepares to ask the registry of a reference.
    ///
    /// [`EngineError::TooMany`] while it is to be left in peace; [`EngineError::Registry`] when
    /// it is not known how to log in.
    pub(super) async fn visit(&self, doing: &str, of: &Reference) -> Result<Visit, EngineError> {
        let registry = of.registry().to_owned();
        if let Some(again) = self.quotas.left(&registry) {
            let again_after = in_seconds(again);
            return Err(EngineError::TooMany {
                doing: doing.to_owned(),
                cause: format!(
                    "{registry} was asked too often, and is not asked again for {again_after} s"
                ),
                again,
            });
        }
        match self.logins.of(&registry).await {
            Ok(login) => Ok(Visit { registry, login }),
            Err(unknown) => Err(EngineError::Registry {
                doing: doing.to_owned(),
                cause: unknown.to_string(),
            }),
        }
    }

    /// Runs a request in which the engine asks a registry.
    pub(super) async fn registry_call<T>(
        &self,
        doing: &str,
        visit: &Visit,
        request: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, EngineError> {
        let translate = |failure: &Error| self.refused(doing, visit, failure);
        let answer = self.call_translated(doing, CALL_LIMIT, request, translate);
        let answer = answer.await?;
        self.was_answered(visit);
        Ok(answer)
    }

    /// Takes note that a registry gave what was asked of it.
    pub(super) fn was_answered(&self, visit: &Visit) {
        self.quotas.clear(&visit.registry);
    }

    /// Returns our error for what came of a visit, and takes note if it was one too many.
    pub(super) fn refused(&self, doing: &str, visit: &Visit, failure: &Error) -> EngineError {
        let registry = &visit.registry;
        let told = || self.logins.told(registry, visit.login.as_ref());
        match error::translate_registry(&self.address(), doing, failure) {
            EngineError::TooMany {
                doing,
                cause,
                again,
            } => {
                let again = self.quotas.spend(registry, again);
                let again_after = in_seconds(again);
                EngineError::TooMany {
                    doing,
                    cause: format!("{cause}; {registry} is not asked again for {again_after} s"),
                    again,
                }
            }
            EngineError::Denied { doing, cause } => EngineError::Denied {
                doing,
                cause: format!("{cause} ({})", told()),
            },
            // Registries don't say whether there is no such image, or only not for us.
            EngineError::NotFound { doing, cause } if cause.contains("denied") => {
                EngineError::NotFound {
                    doing,
                    cause: format!("{cause} ({})", told()),
                }
            }
            other @ (EngineError::Unavailable { .. }
            | EngineError::NotFound { .. }
            | EngineError::Conflict { .. }
            | EngineError::Registry { .. }
            | EngineError::Refused { .. }
            | EngineError::TimedOut { .. }) => other,
        }
    }
}

/// Returns a request whose login the engine can read.
///
/// bollard 0.21 writes it with `+` and `/` where the engine wants `-` and `_` (RFC 4648, section
/// 5); an engine takes a login that it can't read for none. The value is also kept out of what
/// the libraries log.
pub(super) fn url_safe(mut request: BollardRequest) -> BollardRequest {
    if let Some(header) = request.headers_mut().get_mut("x-registry-auth") {
        let text = header.to_str().unwrap_or_default();
        let safe = text.replace('+', "-").replace('/', "_");
        if let Ok(value) = safe.parse() {
            *header = value;
        }
        header.set_sensitive(true);
    }
    request
}

/// Returns whole seconds, begun ones counted.
fn in_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// Remembers which registries want to be left in peace, and until when. Forgotten with the
/// process: who starts one every minute decides that.
#[derive(Default)]
pub(super) struct Quotas(Mutex<BTreeMap<String, Peace>>);

/// For how long a registry is left in peace.
#[derive(Clone, Copy)]
struct Peace {
    until: Instant,
    /// The time that is doubled the next time.
    wait: Duration,
}

impl Quotas {
    /// Returns how long a registry is still not to be asked.
    fn left(&self, registry: &str) -> Option<Duration> {
        let until = self.known().get(registry)?.until;
        let left = until.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    /// Takes note that a registry was asked too often; `stated` is how long it wants to be left in
    /// peace, zero if it does not say. Returns for how long it is.
    fn spend(&self, registry: &str, stated: Duration) -> Duration {
        let now = Instant::now();
        let mut known = self.known();
        let before = known.get(registry).copied();
        // Several questions at once are refused at once; that counts as one refusal.
        if let Some(peace) = before.filter(|peace| peace.until > now) {
            return peace.until.saturating_duration_since(now);
        }
        let (wait, again) = if stated.is_zero() {
            let doubled = before.map_or(FIRST_PEACE, |peace| peace.wait.saturating_mul(2));
            let wait = doubled.min(LONGEST_PEACE);
            // Hosts that were refused together should not come back together.
            (wait, wait.mul_f64(1.0 + fastrand::f64() / 10.0))
        } else {
            let wait = before.map_or(FIRST_PEACE / 2, |peace| peace.wait);
            (wait, stated.min(LONGEST_STATED))
        };
        let until = now + again;
        known.insert(registry.to_owned(), Peace { until, wait });
        again
    }

    /// Takes note that a registry answers.
    fn clear(&self, registry: &str) {
        self.known().remove(registry);
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Peace>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(range: std::ops::RangeInclusive<u64>, time: Duration) {
        let range = Duration::from_secs(*range.start())..=Duration::from_secs(*range.end());
        assert!(range.contains(&time), "{time:?} is not in {range:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_registry_that_is_asked_too_often_is_left_in_peace() {
        let quotas = Quotas::default();
        let spend = || quotas.spend("r.example", Duration::ZERO);
        assert_eq!(quotas.left("r.example"), None);
        seconds(60..=66, spend());
        seconds(60..=66, quotas.left("r.example").unwrap());
        // Others are not meant.
        assert_eq!(quotas.left("other.example"), None);
        tokio::time::advance(Duration::from_secs(30)).await;
        // The answer to a question that was on its way.
        seconds(30..=36, spend());
        tokio::time::advance(Duration::from_secs(37)).await;
        assert_eq!(quotas.left("r.example"), None);
        for (least, most) in [(120, 132), (240, 264), (480, 528), (900, 990), (900, 990)] {
            seconds(least..=most, spend());
            tokio::time::advance(Duration::from_secs(most)).await;
            assert_eq!(quotas.left("r.example"), None);
        }
        // It answers: all is forgotten.
        quotas.clear("r.example");
        seconds(60..=66, spend());
        quotas.clear("r.example");
        assert_eq!(quotas.left("r.example"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_registry_says_is_followed_within_reason() {
        let quotas = Quotas::default();
        for (stated, expected) in [(7, 7), (1800, 1800), (86_400, 3600)] {
            let again = quotas.spend("r.example", Duration::from_secs(stated));
            assert_eq!(again, Duration::from_secs(expected));
            assert_eq!(quotas.left("r.example"), Some(again));
            tokio::time::advance(again).await;
            assert_eq!(quotas.left("r.example"), None);
        }
        // As soon as it says nothing any more, the wait is our own, from the beginning.
        seconds(60..=66, quotas.spend("r.example", Duration::ZERO));
    }

    #[test]
    fn the_login_is_in_the_alphabet_of_the_engine() {
        let mut request = BollardRequest::new(bollard::body_full(Vec::<u8>::new().into()));
        let headers = request.headers_mut();
        headers.insert("x-registry-auth", "a+b/c+/==".parse().unwrap());
        headers.insert("x-other", "a+b/c".parse().unwrap());
        let request = url_safe(request);
        let header = |name: &str| request.headers().get(name).unwrap();
        assert_eq!(header("x-registry-auth").to_str().unwrap(), "a-b_c-_==");
        assert!(header("x-registry-auth").is_sensitive());
        assert_eq!(header("x-other").to_str().unwrap(), "a+b/c");
    }
}
