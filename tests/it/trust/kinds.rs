//! Kinds of keys, against OpenSSH's own verdict and Git's.

use std::process::Command;

use jiff::tz::TimeZone;
use moored::source::Signature;
use moored::trust::{self, AllowedSigners, Distrust};
use sha2::{Digest as _, Sha256};
use ssh_key::private::KeypairData;
use ssh_key::public::{KeyData, SkEd25519};
use ssh_key::{Algorithm, HashAlg, PrivateKey, PublicKey, SshSig};

use crate::support::put;
use crate::support::signing::Signing;
use crate::support::sshd::make_key;

const PAYLOAD: &[u8] = b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n\nsay\n";

fn signature(armour: &str) -> Signature {
    Signature::One {
        armour: armour.as_bytes().to_vec(),
        payload: PAYLOAD.to_vec(),
    }
}

fn ours(signing: &Signing, armour: &str, at: i64) -> Result<trust::Signer, Distrust> {
    let signers = AllowedSigners::read(&signing.file(), &TimeZone::UTC)?;
    trust::check(&signature(armour), &signers, at)
}

#[test]
fn ed25519_and_ecdsa_are_verified_as_ssh_keygen_does() {
    let signing = Signing::new();
    let kinds = [
        ("ed25519", ""),
        ("ecdsa", "256"),
        ("ecdsa", "384"),
        ("ecdsa", "521"),
    ];
    for (kind, bits) in kinds {
        let name = &format!("{kind}{bits}");
        if bits.is_empty() {
            signing.person(name, kind);
        } else {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-N", "", "-t", kind, "-b", bits, "-f"])
                .arg(signing.key(name))
                .status();
            assert!(made.unwrap().success());
        }
        let armour = signing.armour(name, "git", PAYLOAD);
        // 2026-01-01 at noon, against limits on either side of it.
        let (at, written) = (1_767_268_800, "20260101120000Z");
        for (options, good) in [
            ("", true),
            ("namespaces=\"git\"", true),
            ("namespaces=\"g*,file\"", true),
            ("namespaces=\"file\"", false),
            ("namespaces=\"*,!git\"", false),
            ("valid-after=\"20260101Z\"", true),
            ("valid-after=\"20260101120000Z\"", true),
            ("valid-after=\"20260101120001Z\"", false),
            ("valid-before=\"20260101120000Z\"", true),
            ("valid-before=\"20260101115959Z\"", false),
            ("valid-after=\"20250101Z\",valid-before=\"20270101Z\"", true),
        ] {
            signing.allow(&[(name, options)]);
            let theirs = signing.verified(name, PAYLOAD, &armour, written);
            assert_eq!(theirs.status.success(), good, "{name} {options} {theirs:?}");
            let ours = ours(&signing, &armour, at);
            assert_eq!(ours.is_ok(), good, "{name} {options} {ours:?}");
        }
        signing.allow(&[(name, "")]);
        let signer = ours(&signing, &armour, at).unwrap();
        assert_eq!(signer.principals, format!("{name}@example.org"));
        let printed = Command::new("ssh-keygen")
            .arg("-lf")
            .arg(signing.key(name))
            .output();
        let printed = String::from_utf8(printed.unwrap().stdout).unwrap();
        assert!(printed.contains(&signer.key), "{printed}");
    }
}

#[test]
fn other_kinds_are_refused_by_name() {
    let signing = Signing::new();
    signing.person("rsa", "rsa");
    signing.person("ada", "ed25519");
    signing.allow(&[("rsa", ""), ("ada", "")]);
    let why = ours(&signing, &signing.armour("rsa", "git", PAYLOAD), 0).unwrap_err();
    let Distrust::KindOfKey { key, .. } = &why else {
        panic!("{why}")
    };
    insta::assert_snapshot!(why.to_string().replace(key, "KEY"), @"is signed with KEY, a key of the kind ssh-rsa, which is not accepted; use an Ed25519 or ECDSA key");
    // The line of such a key does not stand in the way of others.
    ours(&signing, &signing.armour("ada", "git", PAYLOAD), 0).unwrap();
}

#[test]
fn an_armour_may_be_cut_into_other_lines() {
    let signing = Signing::new();
    signing.person("ada", "ed25519");
    signing.allow(&[("ada", "")]);
    let armour = signing.armour("ada", "git", PAYLOAD);
    let body: String = armour
        .lines()
        .filter(|line| !line.starts_with('-'))
        .collect();
    let wrap = |body: &str| {
        format!("-----BEGIN SSH SIGNATURE-----\r\n{body}\r\n-----END SSH SIGNATURE-----\r\n")
    };
    ours(&signing, &wrap(&body), 0).unwrap();
    for wrong in [
        format!("{body}AAAA"),
        format!("AAAA{body}"),
        body[4..].to_owned(),
        body.replace('A', "="),
        body.replace('A', "\u{e4}"),
        String::new(),
    ] {
        let refused = ours(&signing, &wrap(&wrong), 0).unwrap_err();
        assert!(
            matches!(
                refused,
                Distrust::Malformed { .. } | Distrust::Forged { .. }
            ),
            "{refused}"
        );
    }
}

/// What a security key signs: the hash of its application, flags, a counter, the hash of the
/// message (PROTOCOL.u2f). No such key is at hand, so one is played.
#[test]
fn security_keys_are_verified_as_ssh_keygen_does() {
    let signing = Signing::new();
    make_key(&signing.key("base"), "ed25519");
    let private = PrivateKey::read_openssh_file(&signing.key("base")).unwrap();
    let KeypairData::Ed25519(pair) = private.key_data() else {
        panic!("not an Ed25519 key")
    };
    let public = KeyData::SkEd25519(SkEd25519::new(pair.public, "ssh:"));
    let line = PublicKey::from(public.clone()).to_openssh().unwrap();
    put(signing.file(), format!("ada@example.org {line}\n"));

    let data = SshSig::signed_data("git", HashAlg::Sha512, PAYLOAD).unwrap();
    let trailer = [1, 0, 0, 0, 7];
    let mut signed = Sha256::digest(b"ssh:").to_vec();
    signed.extend(trailer);
    signed.extend(Sha256::digest(&data));
    let raw = raw_ed25519(&signing, pair, &signed);
    let make = |raw: &[u8]| {
        let mut bytes = raw.to_vec();
        bytes.extend(trailer);
        let signature = ssh_key::Signature::new(Algorithm::SkEd25519, bytes).unwrap();
        let made = SshSig::new(public.clone(), "git", HashAlg::Sha512, signature).unwrap();
        made.to_pem(ssh_key::LineEnding::LF).unwrap()
    };
    let armour = make(&raw);
    let theirs = signing.verified("ada", PAYLOAD, &armour, "20260101Z");
    assert!(theirs.status.success(), "{theirs:?}");
    ours(&signing, &armour, 0).unwrap();
    let mut other = raw;
    other[5] ^= 1;
    let armour = make(&other);
    assert!(
        !signing
            .verified("ada", PAYLOAD, &armour, "20260101Z")
            .status
            .success()
    );
    assert!(matches!(
        ours(&signing, &armour, 0),
        Err(Distrust::Forged { .. })
    ));
}

/// Signs bytes with a key of OpenSSH, by OpenSSL.
fn raw_ed25519(
    signing: &Signing,
    pair: &ssh_key::private::Ed25519Keypair,
    bytes: &[u8],
) -> Vec<u8> {
    // RFC 8410: a private key in PKCS #8 is this, and the 32 bytes.
    let mut der = hex::decode("302e020100300506032b657004220420").unwrap();
    der.extend(pair.private.to_bytes());
    let (key, message, out) = (
        signing.key("der"),
        signing.key("message"),
        signing.key("raw"),
    );
    put(&key, der);
    put(&message, bytes);
    let made = Command::new("openssl")
        .args(["pkeyutl", "-sign", "-rawin", "-keyform", "DER", "-inkey"])
        .arg(&key)
        .arg("-in")
        .arg(&message)
        .arg("-out")
        .arg(&out)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    std::fs::read(out).unwrap()
}

#[test]
fn git_says_the_same_of_a_commit() {
    let (town, signing) = super::guarded();
    town.shop("app:v1");
    let signed = signing.sign(&town.origin, "main", "ada");
    let verify = |revision: &str| {
        Command::new("git")
            .args(["-c", "safe.directory=*", "-c"])
            .arg(format!(
                "gpg.ssh.allowedSignersFile={}",
                signing.file().display()
            ))
            .arg("-C")
            .arg(town.origin.path())
            .args(["verify-commit", revision])
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .unwrap()
    };
    let theirs = verify(signed.as_str());
    assert!(theirs.status.success(), "{theirs:?}");
    town.succeeds();
    // And the other way round: a commit that Git itself has signed.
    let made = Command::new("git")
        .args(["-c", "safe.directory=*", "-c", "gpg.format=ssh", "-c"])
        .arg(format!("user.signingKey={}", signing.key("ada").display()))
        .args([
            "-c",
            "user.name=Ada",
            "-c",
            "user.email=ada@example.org",
            "-C",
        ])
        .arg(town.origin.path())
        .args([
            "commit-tree",
            "-S",
            "-p",
            signed.as_str(),
            "-m",
            "by Git",
            "main^{tree}",
        ])
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let id = String::from_utf8(made.stdout).unwrap();
    (town.origin).point("main", git2::Oid::from_str(id.trim()).unwrap());
    town.succeeds();
    signing.allow(&[("eve", "")]);
    assert!(!verify(id.trim()).status.success());
    super::distrust(&town);
}
