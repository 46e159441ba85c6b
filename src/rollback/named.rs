//! Finds the release that somebody names.

use super::error::RollbackError;
use crate::desired::StackName;
use crate::record::Released;

/// How many releases are listed when the name is not known.
const LISTED: usize = 10;

/// Fewest digits of a commit that name it.
const SHORTEST_PREFIX: usize = 4;

/// Finds a release among `past`, newest first: by its name (`17-4f2a9c1`), the number of its
/// attempt, the beginning of its commit, or an image or tag that it ran.
///
/// # Errors
/// There is none, or several that differ.
pub(super) fn find(
    stack: &StackName,
    past: &[Released],
    to: &str,
) -> Result<Released, RollbackError> {
    for matches in [is_release, is_attempt, is_commit, ran_image] {
        let mut found: Vec<&Released> = past.iter().filter(|one| matches(one, to)).collect();
        // The same thing twice is one thing, and its newest release names it.
        let newest = found.first().copied();
        found.dedup_by(|later, earlier| are_alike(later, earlier));
        match (found.as_slice(), newest) {
            ([], _) | (_, None) => {}
            ([_], Some(one)) => return Ok(one.clone()),
            ([_, ..], Some(_)) => {
                return Err(RollbackError::Ambiguous {
                    to: to.to_owned(),
                    candidates: found.into_iter().map(line).collect(),
                });
            }
        }
    }
    Err(RollbackError::UnknownRelease {
        stack: stack.clone(),
        to: to.to_owned(),
        last: past.iter().take(LISTED).map(line).collect(),
    })
}

fn line(one: &Released) -> String {
    let at = one.at.strftime("%Y-%m-%d %H:%M UTC");
    format!("{}  {at}  {}", one.release.id, one.subject)
}

fn is_release(one: &Released, to: &str) -> bool {
    let id = &one.release.id;
    to.split_once('-').is_some_and(|(attempt, commit)| {
        attempt == id.attempt.to_string() && starts_commit(one, commit)
    })
}

fn is_attempt(one: &Released, to: &str) -> bool {
    to == one.release.id.attempt.to_string()
}

fn is_commit(one: &Released, to: &str) -> bool {
    starts_commit(one, to)
}

fn starts_commit(one: &Released, prefix: &str) -> bool {
    let prefix = prefix.to_ascii_lowercase();
    prefix.len() >= SHORTEST_PREFIX && one.release.id.revision.as_str().starts_with(&prefix)
}

/// Returns whether a release ran an image of this name, or one with this tag.
fn ran_image(one: &Released, to: &str) -> bool {
    let images = one.release.images.values();
    images.map(|image| image.reference.as_str()).any(|image| {
        let (_, last) = image.rsplit_once('/').unwrap_or(("", image));
        let last = last.split_once('@').map_or(last, |(name, _)| name);
        let tag = last.split_once(':').map(|(_, tag)| tag);
        image == to || tag == Some(to)
    })
}

/// Returns whether two releases are of one commit, or put the same in place.
fn are_alike(a: &Released, b: &Released) -> bool {
    let (a, b) = (&a.release, &b.release);
    a.id.revision == b.id.revision
        || (a.images == b.images
            && a.services == b.services
            && a.files == b.files
            && a.host_placed == b.host_placed
            && a.configs() == b.configs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Release, ReleaseId, ReleasedImage};
    use jiff::Timestamp;

    fn released(attempt: u64, commit: &str, image: &str) -> Released {
        let image = ReleasedImage {
            reference: image.to_owned(),
            id: format!("sha256:{image}"),
            digest: None,
        };
        Released {
            release: Release {
                id: ReleaseId {
                    attempt,
                    revision: format!("{commit:0<40}").parse().unwrap(),
                },
                services: [].into(),
                images: [("web".to_owned().try_into().unwrap(), image)].into(),
                files: [].into(),
                host_placed: [].into(),
                proxy: None,
                backups_said: None,
                expires: None,
                schema: crate::plan::Schema::default(),
                backups: [].into(),
                jobs: [].into(),
            },
            author: String::new(),
            subject: format!("change {attempt}"),
            at: Timestamp::UNIX_EPOCH,
        }
    }

    fn found(to: &str) -> Result<u64, String> {
        let stack = "shop".to_owned().try_into().unwrap();
        let past = [
            released(1234, "9abc", "reg.example:5000/shop:v1"),
            released(20, "abcd1", "shop@sha256:00"),
            released(18, "4f2a9c1", "reg.example:5000/shop:v3"),
            released(17, "4f2a9c1", "reg.example:5000/shop:v3"),
            released(12, "4f2b", "reg.example:5000/shop:v2"),
            released(4, "1234", "reg.example:5000/shop:v1"),
        ];
        find(&stack, &past, to)
            .map(|one| one.release.id.attempt)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_release_has_many_names() {
        assert_eq!(found("17-4f2a9c1"), Ok(17));
        assert_eq!(found("17-4F2A"), Ok(17));
        assert_eq!(found("17"), Ok(17));
        assert_eq!(found("4f2a"), Ok(18), "two releases of one commit");
        assert_eq!(found(&format!("{:0<40}", "4f2b")), Ok(12));
        assert_eq!(found("v2"), Ok(12));
        assert_eq!(found("reg.example:5000/shop:v3"), Ok(18));
        assert_eq!(found("1234"), Ok(1234), "an attempt before a commit");
        assert_eq!(found("v1"), Ok(1234), "twice the same");
    }

    #[test]
    fn a_name_of_two_releases_lists_them() {
        let stack = "shop".to_owned().try_into().unwrap();
        let mut past = [
            released(2, "4f2a", "shop:v1"),
            released(1, "4f2b", "shop:v1"),
        ];
        past[0]
            .release
            .images
            .values_mut()
            .for_each(|image| image.id.push('x'));
        for to in ["v1", "shop:v1"] {
            let text = find(&stack, &past, to).unwrap_err().to_string();
            insta::allow_duplicates! {
                insta::assert_snapshot!(text.replace(to, "NAME"), @r#"
                "NAME" is the name of several releases that differ; name one:
                    2-4f2a000  1970-01-01 00:00 UTC  change 2
                    1-4f2b000  1970-01-01 00:00 UTC  change 1
                "#);
            }
        }
        let past = [released(2, "4f2a1", "a"), released(1, "4f2a2", "b")];
        assert!(matches!(
            find(&stack, &past, "4f2a"),
            Err(RollbackError::Ambiguous { candidates, .. }) if candidates.len() == 2
        ));
    }

    #[test]
    fn an_unknown_name_lists_the_last_ones() {
        for to in [
            "",
            "19",
            "17-4f2b",
            "17-",
            "4f2",
            "v9",
            "5000/shop",
            "00",
            "shop",
        ] {
            assert!(found(to).is_err(), "{to}");
        }
        insta::assert_snapshot!(found("v9").unwrap_err(), @r#"
        stack shop has no release "v9"; the last ones are:
            1234-9abc000  1970-01-01 00:00 UTC  change 1234
            20-abcd100  1970-01-01 00:00 UTC  change 20
            18-4f2a9c1  1970-01-01 00:00 UTC  change 18
            17-4f2a9c1  1970-01-01 00:00 UTC  change 17
            12-4f2b000  1970-01-01 00:00 UTC  change 12
            4-1234000  1970-01-01 00:00 UTC  change 4
        "#);
    }
}
