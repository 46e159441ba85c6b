//! Whether a request is signed with the secret of the webhook, found out while its body passes.
//!
//! The forms are those of `docs/decisions/0024-triggers.md`. Nothing of a body is kept.

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::settings::Secret;

/// Returns the header that says of a body that its sender knows the secret: ours.
pub(super) fn sign(secret: &Secret, body: &[u8]) -> (&'static str, String) {
    let mut mac = keyed(secret.text()).unwrap_or_else(|| unreachable!("a key may have any length"));
    mac.update(body);
    let digits = hex::encode(mac.finalize().into_bytes());
    (OURS, format!("sha256={digits}"))
}

/// A signature that is being checked.
pub(super) struct Check {
    mac: Hmac<Sha256>,
    claimed: Vec<Vec<u8>>,
    of_body: bool,
}

/// How a header says that its sender knows the secret.
#[derive(Clone, Copy)]
enum Form {
    /// `sha256=` and the HMAC of the body in hexadecimal digits.
    Named,
    /// The same without the name.
    Bare,
    /// Standard Webhooks: `v1,` and the HMAC of id, time and body in base64.
    Standard,
    /// The secret itself.
    Token,
}

/// The header of our own.
const OURS: &str = "x-moored-signature-256";

/// Headers by which senders show that they know the secret. The first that is there decides.
const HEADERS: [(&str, Form); 6] = [
    (OURS, Form::Named),
    ("x-forgejo-signature", Form::Bare),
    ("x-gitea-signature", Form::Bare),
    ("x-hub-signature-256", Form::Named),
    ("webhook-signature", Form::Standard),
    ("x-gitlab-token", Form::Token),
];

/// Most signatures of Standard Webhooks that are compared: a sender has an old and a new key.
const MOST: usize = 4;

impl Check {
    /// Begins to check what the headers claim; `None` when they claim nothing that could be true.
    pub(super) fn of(headers: &HeaderMap, secret: &Secret) -> Option<Self> {
        // GitLab sends the form of Standard Webhooks beside its token, with a key of its own.
        let counts = |form: Form| !matches!(form, Form::Standard) || secret.standard().is_some();
        let (name, form) = HEADERS
            .into_iter()
            .find(|(name, form)| headers.contains_key(*name) && counts(*form))?;
        let claim = only(headers, name)?;
        match form {
            Form::Named => Self::of_body(secret, claim.strip_prefix(b"sha256=")?),
            Form::Bare => Self::of_body(secret, claim),
            Form::Standard => Self::standard(headers, secret.standard()?, claim),
            Form::Token => Self::token(secret, claim),
        }
    }

    /// Takes in the next piece of the body.
    pub(super) fn take_in(&mut self, piece: &[u8]) {
        if self.of_body {
            self.mac.update(piece);
        }
    }

    /// Returns whether the claim was true, after the whole body. In constant time.
    pub(super) fn holds(self) -> bool {
        let Self { mac, claimed, .. } = self;
        claimed
            .iter()
            .any(|claimed| mac.clone().verify_slice(claimed).is_ok())
    }

    fn of_body(secret: &Secret, digits: &[u8]) -> Option<Self> {
        Some(Self {
            mac: keyed(secret.text())?,
            claimed: vec![lower_hex(digits)?],
            of_body: true,
        })
    }

    fn standard(headers: &HeaderMap, key: &[u8], claim: &[u8]) -> Option<Self> {
        let claim = std::str::from_utf8(claim).ok()?;
        let signatures = claim.split(' ').filter_map(|one| one.strip_prefix("v1,"));
        let claimed = signatures
            .take(MOST)
            .filter_map(|one| STANDARD.decode(one).ok())
            .collect();
        let mut mac = keyed(key)?;
        for name in ["webhook-id", "webhook-timestamp"] {
            mac.update(only(headers, name)?);
            mac.update(b".");
        }
        Some(Self {
            mac,
            claimed,
            of_body: true,
        })
    }

    /// Compares digests of both: that takes the same time however much of a token is right.
    fn token(secret: &Secret, token: &[u8]) -> Option<Self> {
        let mut right = keyed(secret.text())?;
        right.update(secret.text());
        let mut mac = keyed(secret.text())?;
        mac.update(token);
        Some(Self {
            mac,
            claimed: vec![right.finalize().into_bytes().to_vec()],
            of_body: false,
        })
    }
}

fn keyed(key: &[u8]) -> Option<Hmac<Sha256>> {
    Hmac::<Sha256>::new_from_slice(key).ok()
}

/// Returns the value of a header that is there once.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).into_iter();
    let value = values.next()?;
    values.next().is_none().then(|| value.as_bytes())
}

/// Reads hexadecimal digits as every sender writes them.
fn lower_hex(digits: &[u8]) -> Option<Vec<u8>> {
    if digits.iter().any(u8::is_ascii_uppercase) {
        return None;
    }
    hex::decode(digits).ok()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const HELLO: &str = "Hello, World!";
    /// The example of GitHub's documentation, "Validating webhook deliveries".
    const EVERYBODY: &str = "It's a Secret to Everybody";
    const OF_HELLO: &str = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    /// The example of the Standard Webhooks specification.
    const STANDARD_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const STANDARD_BODY: &str = r#"{"test": 2432232314}"#;
    const STANDARD_SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    const STANDARD_HEADERS: [(&str, &str); 3] = [
        ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ("webhook-timestamp", "1614265330"),
        ("webhook-signature", STANDARD_SIGNATURE),
    ];

    fn map(headers: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    /// Checks a request whose body comes in pieces of so many bytes.
    fn holds_in(size: usize, secret: &str, headers: &[(&'static str, &str)], body: &str) -> bool {
        let secret = Secret::new(secret).unwrap();
        let Some(mut check) = Check::of(&map(headers), &secret) else {
            return false;
        };
        for piece in body.as_bytes().chunks(size) {
            check.take_in(piece);
        }
        check.holds()
    }

    fn holds(secret: &str, headers: &[(&'static str, &str)], body: &str) -> bool {
        let whole = holds_in(usize::MAX, secret, headers, body);
        assert_eq!(whole, holds_in(3, secret, headers, body), "{headers:?}");
        whole
    }

    #[test]
    fn what_we_sign_is_taken() {
        let secret = Secret::new(EVERYBODY).unwrap();
        let (name, value) = sign(&secret, HELLO.as_bytes());
        assert_eq!(value, format!("sha256={OF_HELLO}"));
        assert!(holds(EVERYBODY, &[(name, &value)], HELLO));
    }

    #[test]
    fn what_senders_document_is_taken() {
        let named = format!("sha256={OF_HELLO}");
        for headers in [
            [("x-hub-signature-256", named.as_str())],
            [("x-moored-signature-256", named.as_str())],
            [("x-gitea-signature", OF_HELLO)],
            [("x-forgejo-signature", OF_HELLO)],
            [("x-gitlab-token", EVERYBODY)],
        ] {
            assert!(holds(EVERYBODY, &headers, HELLO), "{headers:?}");
        }
        assert!(holds(STANDARD_SECRET, &STANDARD_HEADERS, STANDARD_BODY));
        // While a key is changed there are two, and of other versions too.
        let two = format!("v1a,x v1,AAAA {STANDARD_SIGNATURE}");
        let [id, time, _] = STANDARD_HEADERS;
        let headers = [id, time, ("webhook-signature", two.as_str())];
        assert!(holds(STANDARD_SECRET, &headers, STANDARD_BODY));
        // A token in this form can be sent as it is, too.
        let token = [("x-gitlab-token", STANDARD_SECRET)];
        assert!(holds(STANDARD_SECRET, &token, "{}"));
        // GitLab's signature is made with a key of its own, which is not this secret.
        let both = [id, time, STANDARD_HEADERS[2], ("x-gitlab-token", EVERYBODY)];
        assert!(holds(EVERYBODY, &both, "{}"));
        // As Forgejo sends them.
        let all = [
            ("x-forgejo-signature", OF_HELLO),
            ("x-gitea-signature", OF_HELLO),
            ("x-gogs-signature", OF_HELLO),
            ("x-hub-signature", "sha1=0000"),
            ("x-hub-signature-256", named.as_str()),
        ];
        assert!(holds(EVERYBODY, &all, HELLO));
    }

    #[test]
    fn anything_else_is_refused() {
        let named = format!("sha256={OF_HELLO}");
        let upper = format!("sha256={}", OF_HELLO.to_ascii_uppercase());
        let longer = format!("{named}00");
        let mut wrong = named.clone();
        wrong.replace_range(10..11, "0");
        assert_ne!(wrong, named);
        for value in [
            "",
            "sha256=",
            "sha256=zz",
            "sha1=0000",
            OF_HELLO,
            &upper,
            &longer,
            &named[..named.len() - 2],
            &wrong,
            &format!(" {named}"),
        ] {
            for name in ["x-hub-signature-256", "x-moored-signature-256"] {
                assert!(!holds(EVERYBODY, &[(name, value)], HELLO), "{value}");
            }
        }
        let good = ("x-hub-signature-256", named.as_str());
        assert!(!holds(EVERYBODY, &[], HELLO), "unsigned");
        assert!(!holds(EVERYBODY, &[good], "Hello, World?"), "another body");
        assert!(!holds("It's a Secret to Nobody", &[good], HELLO));
        assert!(!holds(EVERYBODY, &[good, good], HELLO), "twice");
        let named_bare = ("x-gitea-signature", named.as_str());
        assert!(!holds(EVERYBODY, &[named_bare], HELLO), "the other form");
        // A wrong one that comes first is not made good by another.
        let zeros = "0".repeat(64);
        let wrong_first = [("x-gitea-signature", zeros.as_str()), good];
        assert!(!holds(EVERYBODY, &wrong_first, HELLO));
        for token in [
            "",
            "It's a Secret to Everybod",
            "It's a Secret to Everybody!",
        ] {
            assert!(!holds(EVERYBODY, &[("x-gitlab-token", token)], HELLO));
        }
        let [id, time, signature] = STANDARD_HEADERS;
        for headers in [
            vec![id, signature],
            vec![time, signature],
            vec![id, time],
            vec![id, time, ("webhook-signature", "v1,")],
            vec![id, ("webhook-timestamp", "1614265331"), signature],
            vec![id, id, time, signature],
        ] {
            let held = holds(STANDARD_SECRET, &headers, STANDARD_BODY);
            assert!(!held, "{headers:?}");
        }
        let text = STANDARD_SECRET.strip_prefix("whsec_").unwrap();
        assert!(!holds(text, &STANDARD_HEADERS, STANDARD_BODY), "no key");
    }

    proptest::proptest! {
        #[test]
        fn never_panics_and_takes_nothing_that_is_not_signed(
            headers in proptest::collection::vec(
                (0..HEADERS.len() + 2, "(sha256=|v1,|v1, v1,)?[0-9a-fA-F+/= é]{0,70}"),
                0..5,
            ),
            body in "[ -~]{0,20}",
        ) {
            let more = ["webhook-id", "webhook-timestamp"];
            let names = HEADERS.map(|(name, _)| name).into_iter().chain(more);
            let names: Vec<&'static str> = names.collect();
            let mut map = HeaderMap::new();
            for (index, value) in headers {
                if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
                    map.append(names[index], value);
                }
            }
            for secret in [EVERYBODY, STANDARD_SECRET] {
                if let Some(mut check) = Check::of(&map, &Secret::new(secret).unwrap()) {
                    check.take_in(body.as_bytes());
                    proptest::prop_assert!(!check.holds());
                }
            }
        }
    }
}
