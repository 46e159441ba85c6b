//! Reads the part of Docker's `config.json` that is about logins, by the rules of the Docker CLI
//! (`cli/config/configfile` and `cli/config/credentials` in docker/cli). Pure.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::logins::Login;
use super::name::{address, is_for};
use crate::secret::Sensitive;

/// What the file says; keys that are about other things are passed over.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DockerConfig {
    auths: Option<BTreeMap<String, Entry>>,
    cred_helpers: Option<BTreeMap<String, String>>,
    creds_store: Option<String>,
}

/// What the file has for one registry. With a credential helper it is empty.
#[derive(Deserialize)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

/// What the file says of one registry.
pub(super) enum Found {
    /// Nothing.
    Nothing,
    /// The login itself.
    Login(Login),
    /// Who knows it: the NAME of `docker-credential-NAME`.
    Helper(String),
}

impl DockerConfig {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// It is not what Docker writes. The message has the place alone: what stands there may be a
    /// password.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            format!("is not what docker login writes, at line {line}, column {column}")
        })
    }

    /// Returns what it says of a registry. A helper for this registry goes before the one for all,
    /// and where there is one the file itself is not asked.
    ///
    /// # Errors
    /// The entry can't be used; without anything of it but the name of the registry.
    pub(super) fn find(&self, registry: &str) -> Result<Found, String> {
        let own = entry(self.cred_helpers.as_ref(), registry);
        let helper = own.or(self.creds_store.as_ref());
        if let Some(name) = helper.filter(|name| !name.is_empty()) {
            return if is_plain(name) {
                Ok(Found::Helper(name.clone()))
            } else {
                Err(format!(
                    "names a credential helper for {registry} that is not one word of letters, \
                     digits, '-', '_' and '.'"
                ))
            };
        }
        let Some(entry) = entry(self.auths.as_ref(), registry) else {
            return Ok(Found::Nothing);
        };
        let login = entry.login().map_err(|Senseless| {
            format!("has something for {registry} that is no login; run: docker login {registry}")
        })?;
        Ok(login.map_or(Found::Nothing, Found::Login))
    }
}

/// An entry that is no login.
struct Senseless;

impl Entry {
    /// Returns the login, if it has one.
    fn login(&self) -> Result<Option<Login>, Senseless> {
        if let Some(token) = filled(self.identitytoken.as_ref()) {
            return Ok(Some(Login::IdentityToken(Sensitive::new(token))));
        }
        let Some(auth) = filled(self.auth.as_ref()) else {
            let both = filled(self.username.as_ref()).zip(filled(self.password.as_ref()));
            return Ok(both.map(|(username, password)| Login::new(username, password)));
        };
        let bytes = Zeroizing::new(STANDARD.decode(auth.trim()).or(Err(Senseless))?);
        let text = std::str::from_utf8(&bytes).or(Err(Senseless))?;
        let (username, password) = text.split_once(':').ok_or(Senseless)?;
        let password = password.trim_matches('\0');
        if username.is_empty() {
            return Err(Senseless);
        }
        Ok((!password.is_empty()).then(|| Login::new(username, password)))
    }
}

/// Returns the entry for a registry: the one under the name that Docker writes, else the first one
/// that is for it.
fn entry<'a, T>(entries: Option<&'a BTreeMap<String, T>>, registry: &str) -> Option<&'a T> {
    let entries = entries?;
    let for_it = || entries.iter().find(|(key, _)| is_for(key, registry));
    let exact = entries.get(address(registry));
    exact.or_else(|| for_it().map(|(_, entry)| entry))
}

fn filled(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

/// Returns whether a name can be the end of the name of a program, and nothing else.
fn is_plain(name: &str) -> bool {
    name.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Says what was found, with the secrets: they are ours.
    fn found(text: &str, registry: &str) -> String {
        let config = match DockerConfig::parse(text.as_bytes()) {
            Ok(config) => config,
            Err(message) => return format!("error: it {message}"),
        };
        match config.find(registry) {
            Ok(Found::Nothing) => "nothing".to_owned(),
            Ok(Found::Login(Login::Password { username, password })) => {
                format!("{username} with {}", password.expose())
            }
            Ok(Found::Login(Login::IdentityToken(token))) => format!("token {}", token.expose()),
            Ok(Found::Helper(name)) => format!("helper {name}"),
            Err(message) => format!("error: it {message}"),
        }
    }

    /// `ada:hunter22` in base64.
    const ADA: &str = "YWRhOmh1bnRlcjIy";

    #[test]
    fn logins_that_stand_in_the_file() {
        let ada = format!(r#"{{"auths": {{"r.example": {{"auth": "{ADA}"}}}}}}"#);
        let hub = format!(r#"{{"auths": {{"https://index.docker.io/v1/": {{"auth": "{ADA}"}}}}}}"#);
        let odd = STANDARD.encode("ada:a:b ü\0\0");
        let odd = format!(r#"{{"auths": {{"r.example": {{"auth": "{odd}"}}}}}}"#);
        let token = format!(
            r#"{{"auths": {{"r.example": {{"auth": "{ADA}", "identitytoken": "ey.J"}}}}}}"#
        );
        for (text, registry, expected) in [
            (ada.as_str(), "r.example", "ada with hunter22"),
            (&ada, "r.example:5000", "nothing"),
            (&ada, "other.example", "nothing"),
            (&ada, "docker.io", "nothing"),
            (&hub, "docker.io", "ada with hunter22"),
            (&hub, "index.docker.io", "ada with hunter22"),
            (&hub, "r.example", "nothing"),
            // Only the first colon ends the name; zeros are left over from old helpers.
            (&odd, "r.example", "ada with a:b ü"),
            (&token, "r.example", "token ey.J"),
            (
                r#"{"auths": {"r.example": {"username": "ada", "password": "hunter22"}}}"#,
                "r.example",
                "ada with hunter22",
            ),
            (r#"{"auths": {"r.example": {}}}"#, "r.example", "nothing"),
            (r#"{"auths": null}"#, "r.example", "nothing"),
            (
                r#"{"psFormat": "x", "HttpHeaders": {}}"#,
                "r.example",
                "nothing",
            ),
        ] {
            assert_eq!(found(text, registry), expected, "{text} {registry}");
        }
    }

    #[test]
    fn the_entry_that_docker_writes_goes_before_others_of_the_same_host() {
        let text = format!(
            r#"{{"auths": {{"http://r.example/v1/": {{"auth": "b2xkOm9sZG9sZA=="}},
                 "r.example": {{"auth": "{ADA}"}}}}}}"#
        );
        assert_eq!(found(&text, "r.example"), "ada with hunter22");
    }

    #[test]
    fn helpers_go_before_the_file() {
        let text = format!(
            r#"{{"auths": {{"r.example": {{"auth": "{ADA}"}}, "plain.example": {{"auth": "{ADA}"}}}},
                 "credHelpers": {{"r.example": "ecr-login", "docker.io": "hub", "plain.example": ""}},
                 "credsStore": "pass"}}"#
        );
        for (registry, expected) in [
            ("r.example", "helper ecr-login"),
            ("docker.io", "helper hub"),
            ("other.example", "helper pass"),
            // A helper without a name is Docker's way to say: not for this one.
            ("plain.example", "ada with hunter22"),
        ] {
            assert_eq!(found(&text, registry), expected);
        }
    }

    #[test]
    fn what_is_wrong_is_told_without_what_stands_there() {
        for (text, expected) in [
            ("", "error: it is not what docker login writes, at line 1"),
            ("[]", "error: it is not what docker login writes, at line 1"),
            (
                "{\"auths\":\n {\"r.example\": \"hunter22\"}}",
                "error: it is not what docker login writes, at line 2",
            ),
            (
                r#"{"auths": {"r.example": {"auth": "hunter22!"}}}"#,
                "error: it has something for r.example that is no login",
            ),
            (
                r#"{"auths": {"r.example": {"auth": "aHVudGVyMjI="}}}"#,
                "error: it has something for r.example that is no login",
            ),
            (
                r#"{"auths": {"r.example": {"auth": "Omh1bnRlcjIy"}}}"#,
                "error: it has something for r.example that is no login",
            ),
            (
                r#"{"credsStore": "../hunter22"}"#,
                "error: it names a credential helper for r.example that is not one word",
            ),
            (
                r#"{"credHelpers": {"r.example": "hunter22 --x"}}"#,
                "error: it names a credential helper for r.example that is not one word",
            ),
        ] {
            let said = found(text, "r.example");
            assert!(said.starts_with(expected), "{text}: {said}");
            assert!(!said.contains("hunter22"), "{said}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in ".*", auth in ".*", registry in "[a-z.:0-9]{0,12}") {
            drop(found(&text, &registry));
            let entry = serde_json::json!({"auths": {registry.as_str(): {"auth": auth}}});
            drop(found(&entry.to_string(), &registry));
        }
    }
}
