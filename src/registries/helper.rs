//! Asks one of Docker's credential helpers, programs of the name `docker-credential-NAME`:
//! <https://github.com/docker/docker-credential-helpers>.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::logins::Login;
use super::name::address;
use crate::program;
use crate::secret::Sensitive;

/// Time for an answer. Those that ask a cloud take a second or two; one that waits for a person
/// would wait for ever.
const WITHIN: Duration = Duration::from_secs(15);

/// What helpers print when they have nothing for a registry; they end with an error then.
const NOTHING: &str = "credentials not found in native keychain";

/// The user name with which a helper says that the secret is an identity token.
const TOKEN: &str = "<token>";

/// What a helper prints; it also repeats which registry it was asked for.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Said {
    username: String,
    secret: String,
}

/// Returns the program of a helper.
pub(super) fn program_of(name: &str) -> String {
    format!("docker-credential-{name}")
}

/// Asks a helper for the login of a registry; `None` when it has none.
///
/// # Errors
/// It can't be run, ends with an error, takes longer than 15 seconds or makes no sense; a fragment
/// that follows its name, without anything that it printed.
pub(super) async fn ask(name: &str, registry: &str) -> Result<Option<Login>, String> {
    let program = program_of(name);
    let arguments = ["get".to_owned()];
    let asked = program::ask(Path::new(&program), &arguments, address(registry));
    let answer = match tokio::time::timeout(WITHIN, asked).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Err(format!("can't be used: {error}")),
        Err(_) => return Err(format!("gave no answer within {} s", WITHIN.as_secs())),
    };
    if !answer.status.success() {
        if answer.text.trim() == NOTHING {
            return Ok(None);
        }
        return Err(format!(
            "ended with {}; to see why, run: echo {} | {program} get",
            answer.status,
            address(registry)
        ));
    }
    read(&answer.text)
}

fn read(text: &str) -> Result<Option<Login>, String> {
    // The message of the library quotes what it does not understand.
    let said: Said = serde_json::from_str(text)
        .map_err(|_| "printed something else than Username and Secret in JSON".to_owned())?;
    Ok(match (said.username.as_str(), said.secret.as_str()) {
        (_, "") => None,
        (TOKEN, token) => Some(Login::IdentityToken(Sensitive::new(token))),
        (username, password) => Some(Login::new(username, password)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        let login = |text: &str| read(text).ok().unwrap();
        let ada = login(r#"{"ServerURL":"r.example","Username":"ada","Secret":"hunter22"}"#);
        assert!(ada == Some(Login::new("ada", "hunter22")));
        let token = login(r#"{"ServerURL":"r.example","Username":"<token>","Secret":"ey.J"}"#);
        assert!(token == Some(Login::IdentityToken(Sensitive::new("ey.J"))));
        assert!(login(r#"{"Username":"ada","Secret":""}"#).is_none());
        for bad in ["", "hunter22", r#"{"Username": "hunter22"}"#, "[]"] {
            let message = read(bad).err().unwrap();
            assert!(!message.contains("hunter22"), "{message}");
        }
    }
}
