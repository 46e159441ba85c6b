//! Which commands test and reload a proxy, and what their words mean.

use std::path::Path;

use crate::desired::proxy::ProxyKind;
use crate::secret::escape_control;

/// Where Caddy's packages and images have their configuration.
const CADDYFILE: &str = "/etc/caddy/Caddyfile";

/// Returns the commands that test a configuration, as argument lists.
///
/// All of them must exit 0, and what the last one writes to stdout is for [`super::Shape::read`].
/// A Caddy configuration whose name ends with `.json` is shown by `cat`, which the image of
/// Caddy has too: Caddy has no command for it.
pub fn test_commands(program: &str, kind: ProxyKind, main: Option<&Path>) -> Vec<Vec<String>> {
    match kind {
        ProxyKind::Nginx => {
            let mut command = list(&[program, "-T"]);
            command.extend(nginx_main(main));
            vec![command]
        }
        ProxyKind::Caddy => {
            let file = caddy_main(main);
            let mut validate = list(&[program, "validate", "--config", &file]);
            if is_json(&file) {
                return vec![validate, list(&["cat", &file])];
            }
            let mut adapt = list(&[program, "adapt", "--config", &file]);
            validate.extend(caddyfile());
            adapt.extend(caddyfile());
            vec![validate, adapt]
        }
    }
}

/// Returns the command that makes a running proxy load its configuration.
///
/// Exit status 0 does not mean that it did: see [`super::prove()`].
pub fn reload_command(program: &str, kind: ProxyKind, main: Option<&Path>) -> Vec<String> {
    match kind {
        ProxyKind::Nginx => {
            let mut command = list(&[program, "-s", "reload"]);
            command.extend(nginx_main(main));
            command
        }
        ProxyKind::Caddy => {
            let file = caddy_main(main);
            // A certificate that was renewed in place is read again only by force.
            let mut command = list(&[program, "reload", "--force", "--config", &file]);
            if !is_json(&file) {
                command.extend(caddyfile());
            }
            command
        }
    }
}

/// Returns why a test or reload failed, for people: one line, bounded, without what a terminal
/// would act on.
///
/// Paths are as the proxy sees them, which are the real ones: a test runs with the staged files
/// in their place.
pub fn complaint(kind: ProxyKind, output: &str) -> String {
    let causes: Vec<&str> = match kind {
        ProxyKind::Nginx => output.lines().filter_map(nginx_cause).collect(),
        ProxyKind::Caddy => output.lines().filter_map(caddy_cause).collect(),
    };
    let causes = if causes.is_empty() {
        let last = output.lines().rfind(|line| !line.trim().is_empty());
        vec![last.map_or("it says nothing", str::trim)]
    } else {
        causes
    };
    let mut shown: Vec<&str> = Vec::new();
    for cause in causes {
        if !shown.contains(&cause) {
            shown.push(cause);
        }
    }
    let more = shown.len().saturating_sub(MOST_CAUSES);
    shown.truncate(MOST_CAUSES);
    let mut shown: Vec<String> = shown.into_iter().map(bounded).collect();
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    shown.join("; ")
}

/// Returns whether a failed reload says that there is nobody to reload.
pub fn says_not_running(kind: ProxyKind, output: &str) -> bool {
    let words: &[&[&str]] = match kind {
        // `nginx -t` makes an empty file where there is none.
        ProxyKind::Nginx => &[
            &["open() \"", ".pid\" failed (2:"],
            &["invalid PID number \"\" in \""],
            &["kill(", "failed (3:"],
        ],
        ProxyKind::Caddy => &[
            &["dial ", "connection refused"],
            &["dial unix", "no such file"],
        ],
    };
    output.lines().any(|line| {
        words
            .iter()
            .any(|all| all.iter().all(|one| line.contains(one)))
    })
}

/// Most causes that are told.
const MOST_CAUSES: usize = 3;

/// Longest cause that is told, in characters.
const LONGEST_CAUSE: usize = 300;

fn list(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn nginx_main(main: Option<&Path>) -> Vec<String> {
    main.map_or_else(Vec::new, |main| list(&["-c", &main.to_string_lossy()]))
}

fn caddy_main(main: Option<&Path>) -> String {
    main.map_or_else(
        || CADDYFILE.to_owned(),
        |main| main.to_string_lossy().into_owned(),
    )
}

fn caddyfile() -> Vec<String> {
    list(&["--adapter", "caddyfile"])
}

fn is_json(main: &str) -> bool {
    Path::new(main)
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
}

fn nginx_cause(line: &str) -> Option<&str> {
    ["[emerg] ", "[alert] ", "[crit] ", "[error] "]
        .iter()
        .find_map(|level| line.split_once(level))
        .map(|(_, cause)| without_process(cause.trim()))
}

/// Takes away what the log has before the words: `4711#4711: `, the process and its thread.
///
/// Where the log goes to stderr, as Debian's nginx begins, each cause is there twice.
fn without_process(cause: &str) -> &str {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match cause.split_once(": ") {
        Some((process, words))
            if process
                .split_once('#')
                .is_some_and(|(process, thread)| number(process) && number(thread)) =>
        {
            words
        }
        Some(_) | None => cause,
    }
}

fn caddy_cause(line: &str) -> Option<&str> {
    line.trim().strip_prefix("Error: ").map(str::trim)
}

fn bounded(cause: &str) -> String {
    let mut text: String = cause.chars().take(LONGEST_CAUSE).collect();
    if text.len() < cause.len() {
        text.push('…');
    }
    escape_control(&text).replace('\t', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(commands: &[Vec<String>]) -> Vec<String> {
        commands.iter().map(|one| one.join(" ")).collect()
    }

    #[test]
    fn commands_are_those_of_the_manuals() {
        let main = Path::new("/srv/nginx.conf");
        let nginx = |main| joined(&test_commands("nginx", ProxyKind::Nginx, main));
        assert_eq!(nginx(None), ["nginx -T"]);
        assert_eq!(nginx(Some(main)), ["nginx -T -c /srv/nginx.conf"]);
        let caddy = |main| joined(&test_commands("caddy", ProxyKind::Caddy, main));
        assert_eq!(
            caddy(None),
            [
                "caddy validate --config /etc/caddy/Caddyfile --adapter caddyfile",
                "caddy adapt --config /etc/caddy/Caddyfile --adapter caddyfile"
            ]
        );
        let json = Path::new("/etc/caddy/caddy.json");
        assert_eq!(
            caddy(Some(json)),
            [
                "caddy validate --config /etc/caddy/caddy.json",
                "cat /etc/caddy/caddy.json"
            ]
        );
        let reload = |kind, main| reload_command("x", kind, main).join(" ");
        assert_eq!(
            reload(ProxyKind::Nginx, Some(main)),
            "x -s reload -c /srv/nginx.conf"
        );
        assert_eq!(reload(ProxyKind::Nginx, None), "x -s reload");
        assert_eq!(
            reload(ProxyKind::Caddy, None),
            "x reload --force --config /etc/caddy/Caddyfile --adapter caddyfile"
        );
        assert_eq!(
            reload(ProxyKind::Caddy, Some(json)),
            "x reload --force --config /etc/caddy/caddy.json"
        );
    }

    #[test]
    fn complaints_are_the_causes() {
        let said = "nginx: [warn] the \"user\" directive makes no sense in /n.conf:1\n\
             2026/11/21 10:00:00 [emerg] 4711#4711: unknown directive \"prxy\" in /etc/nginx/conf.d/a.conf:3\n\
             nginx: [emerg] unknown directive \"prxy\" in /etc/nginx/conf.d/a.conf:3\n\
             nginx: configuration file /etc/nginx/nginx.conf test failed\n";
        assert_eq!(
            complaint(ProxyKind::Nginx, said),
            "unknown directive \"prxy\" in /etc/nginx/conf.d/a.conf:3"
        );
        let said = "2026/11/21 10:00:00.0\tINFO\tusing provided configuration\n\
             Error: adapting config using caddyfile: /c:3: unrecognized directive: prxy\n";
        assert_eq!(
            complaint(ProxyKind::Caddy, said),
            "adapting config using caddyfile: /c:3: unrecognized directive: prxy"
        );
        assert_eq!(
            complaint(ProxyKind::Caddy, "x\n\nsegfault \u{1b}[31m\n\n"),
            "segfault \\u{1b}[31m"
        );
        assert_eq!(complaint(ProxyKind::Nginx, " \n"), "it says nothing");
        let many: Vec<String> = (0..9).map(|n| format!("nginx: [emerg] {n}\n")).collect();
        assert_eq!(
            complaint(ProxyKind::Nginx, &many.concat()),
            "0; 1; 2; and 6 more"
        );
        let long = complaint(ProxyKind::Nginx, &"ä".repeat(100_000));
        assert_eq!(long.chars().count(), LONGEST_CAUSE + 1);
    }

    #[test]
    fn nobody_to_reload_is_told_from_a_bad_configuration() {
        for (kind, said) in [
            (
                ProxyKind::Nginx,
                "nginx: [error] open() \"/run/nginx.pid\" failed (2: No such file or directory)",
            ),
            (
                ProxyKind::Nginx,
                "nginx: [error] invalid PID number \"\" in \"/run/nginx.pid\"",
            ),
            (
                ProxyKind::Nginx,
                "nginx: [alert] kill(99, 1) failed (3: No such process)",
            ),
            (
                ProxyKind::Caddy,
                "Error: sending configuration to instance: performing request: Post \
                 \"http://localhost:2019/load\": dial tcp 127.0.0.1:2019: connect: connection refused",
            ),
        ] {
            assert!(says_not_running(kind, said), "{said}");
        }
        let said =
            "nginx: [emerg] open() \"/etc/nginx/gone.conf\" failed (2: No such file or directory)";
        assert!(!says_not_running(ProxyKind::Nginx, said));
    }
}
