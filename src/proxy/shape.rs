//! What visitors can reach: listeners and names.

use std::collections::BTreeSet;

use super::address::Address;
use super::nginx::{Directive, File};
use super::{ProxyError, caddy, nginx, pattern};
use crate::desired::proxy::ProxyKind;
use crate::secret::escape_control;

/// What visitors can reach: pairs of listener and server name.
///
/// `_` is the name of a server that has none. Listeners are written in one way: `80` for `*:80`
/// and `0.0.0.0:80`, `53/udp`, `127.0.0.1:8080`, `[::]:443`, `unix:/run/x.sock`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Shape {
    pub(super) pairs: BTreeSet<(String, String)>,
}

impl Shape {
    /// Reads what the last of [`super::test_commands`] wrote.
    ///
    /// Lines of the log may stand around and, for nginx, between: the log of a container is both
    /// streams in one. At most 8 MiB.
    ///
    /// # Errors
    /// It is no dump, not whole, or larger than anything real.
    pub fn read(kind: ProxyKind, dump: &[u8]) -> Result<Self, ProxyError> {
        let odd = |message: &str| ProxyError::Dump {
            kind,
            message: message.to_owned(),
        };
        if dump.len() > LARGEST_DUMP {
            return Err(odd("it is larger than 8 MiB"));
        }
        let text = String::from_utf8_lossy(dump);
        let pairs = match kind {
            ProxyKind::Nginx => of_nginx(&text).map_err(odd)?,
            ProxyKind::Caddy => {
                let config =
                    caddy::find_json(&text).ok_or_else(|| odd("there is no JSON in it"))?;
                let pairs = caddy::pairs(&config).ok_or_else(|| odd(TOO_MUCH))?;
                pairs.into_iter().collect()
            }
        };
        Ok(Self { pairs })
    }

    /// Returns the listeners that are new in `after` and can't be listened on, because another
    /// program of this host does; for a proxy on the host itself.
    ///
    /// No test of nginx or Caddy says so, and Caddy answers with a mixture of two configurations
    /// once it has tried (<https://github.com/caddyserver/caddy/issues/7175>). Each is tried for
    /// an instant. Names, sockets of files and ranges of ports are not.
    pub fn taken_in(&self, after: &Self) -> Vec<String> {
        let before: BTreeSet<u16> = self.addresses().map(|(_, one)| one.at().port()).collect();
        let new = after.addresses().filter(|(_, one)| {
            // The proxy's own listener on another address of the port is in the way too, and the
            // proxy knows better than we do whether it can change places with it.
            !before.contains(&one.at().port())
        });
        let taken = new.filter(|(_, address)| address.is_taken());
        let taken: BTreeSet<&str> = taken.map(|(listen, _)| listen).collect();
        taken.into_iter().map(shown).collect()
    }

    /// Returns what is listened on, each once.
    pub fn listeners(&self) -> BTreeSet<&str> {
        self.pairs
            .iter()
            .map(|(listen, _)| listen.as_str())
            .collect()
    }

    fn addresses(&self) -> impl Iterator<Item = (&str, Address)> {
        let listeners = self.listeners().into_iter();
        listeners.filter_map(|listen| Some((listen, Address::of(listen)?)))
    }

    /// Returns whether nothing can be reached.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Returns what `after` lacks, as people say it: `server name shop.example on 443`,
    /// `listener 127.0.0.1:8080`. Empty = nothing is lost.
    ///
    /// A listener that is gone is told once, with those of its names that no other listener has.
    /// After a dozen the rest is a number.
    pub fn lost_in(&self, after: &Self) -> Vec<String> {
        let listeners = after.listeners();
        let names: BTreeSet<&String> = after.pairs.iter().map(|(_, name)| name).collect();
        let mut told = BTreeSet::new();
        let mut lost = Vec::new();
        for (listen, name) in self.pairs.difference(&after.pairs) {
            let listens = listeners.contains(listen.as_str());
            if !listens && told.insert(listen) {
                lost.push(format!("listener {}", shown(listen)));
            }
            if name == ANY {
                if listens {
                    lost.push(format!("the server for any name on {}", shown(listen)));
                }
            } else if listens || !names.contains(name) {
                lost.push(format!("server name {} on {}", shown(name), shown(listen)));
            }
        }
        let more = lost.len().saturating_sub(MOST_TOLD);
        if more > 1 {
            lost.truncate(MOST_TOLD);
            lost.push(format!("and {more} more"));
        }
        lost
    }
}

/// The largest configurations have some MiB.
const LARGEST_DUMP: usize = 8 * 1024 * 1024;

/// Most losses that are told one by one.
const MOST_TOLD: usize = 12;

/// Longest name or listener that is shown, in characters.
const LONGEST_NAME: usize = 200;

/// Most directives that are looked at: includes may bring the same file many times.
const MOST_LOOKS: usize = 2_000_000;

/// Deepest nesting of includes and blocks.
const DEEPEST: usize = 128;

/// The name of a server that has none.
const ANY: &str = "_";

const TOO_MUCH: &str = "it has more servers and names than are read";

type Pairs = BTreeSet<(String, String)>;

fn shown(name: &str) -> String {
    let mut text: String = name.chars().take(LONGEST_NAME).collect();
    if text.len() < name.len() {
        text.push('…');
    }
    escape_control(&text).replace(['\n', '\t'], " ")
}

fn of_nginx(dump: &str) -> Result<Pairs, &'static str> {
    let parsed = nginx::parse(&without_log(dump));
    let main = parsed
        .files
        .iter()
        .position(|file| file.path.is_some())
        .ok_or("there is no `# configuration file` in it")?;
    if !parsed.whole {
        return Err("a block in it is not closed, or it is too large");
    }
    let files = parsed.files.get(main..).unwrap_or_default();
    let path = files.first().and_then(|file| file.path.as_deref());
    let prefix = path.and_then(|path| path.rsplit_once('/'));
    let mut walk = Walk {
        files,
        prefix: prefix.map_or("", |(directory, _)| directory),
        seen: BTreeSet::from([0]),
        looks: 0,
        pairs: Pairs::new(),
    };
    for (index, file) in files.iter().enumerate() {
        // The main file, and any whose include was not understood.
        if index == 0 || !walk.seen.contains(&index) {
            walk.servers(&file.directives, 0)?;
        }
    }
    Ok(walk.pairs)
}

/// What nginx itself says when all is well or nearly: it may stand in the middle of the dump.
const SAYS: [&str; 4] = [
    "nginx: the configuration file ",
    "nginx: configuration file ",
    "nginx: [warn] ",
    "nginx: [notice] ",
];

fn without_log(dump: &str) -> String {
    let mut text = String::with_capacity(dump.len());
    for line in dump.split_inclusive('\n') {
        text.push_str(before_log(line));
    }
    // What stands before the dump is an entrypoint's.
    let begins = text.find("# configuration file ").unwrap_or(0);
    text.split_off(begins)
}

/// Returns what stands in a line before what nginx says, by itself or in its log.
///
/// That reaches to the end of the line; in the next one the dump goes on where it was.
fn before_log(line: &str) -> &str {
    let said = SAYS.iter().filter_map(|begin| line.find(begin)).min();
    let logged = line.match_indices(" [").find_map(|(at, _)| {
        let begin = at.checked_sub("2026/11/21 10:00:00".len())?;
        let time = line.get(begin..at)?;
        let fits = |(byte, form): (u8, u8)| byte == form || byte.is_ascii_digit() && form == b'0';
        let is_time = time.bytes().zip(*b"0000/00/00 00:00:00").all(fits);
        is_time.then_some(begin)
    });
    let at = said.into_iter().chain(logged).min();
    at.and_then(|at| line.get(..at)).unwrap_or(line)
}

/// A walk through the files of a dump, from the main one along the includes.
struct Walk<'a> {
    files: &'a [File],
    /// The directory of the main file, from which nginx takes relative includes.
    prefix: &'a str,
    seen: BTreeSet<usize>,
    looks: usize,
    pairs: Pairs,
}

impl<'a> Walk<'a> {
    fn look(&mut self, depth: usize) -> Result<(), &'static str> {
        self.looks += 1;
        if self.looks > MOST_LOOKS || depth > DEEPEST {
            return Err(TOO_MUCH);
        }
        Ok(())
    }

    /// Returns the files that a directive brings in, if it is an include.
    fn included(&mut self, directive: &Directive) -> Result<Vec<&'a File>, &'static str> {
        let Some(wanted) = directive
            .arguments
            .first()
            .filter(|_| directive.name == "include")
        else {
            return Ok(Vec::new());
        };
        let wanted = if wanted.starts_with('/') {
            wanted.clone()
        } else {
            format!("{}/{wanted}", self.prefix)
        };
        let mut found = Vec::new();
        for (index, file) in self.files.iter().enumerate() {
            let path = file.path.as_deref().unwrap_or_default();
            if path == wanted || pattern::matches(&wanted, path) {
                self.look(0)?;
                self.seen.insert(index);
                found.push(file);
            }
        }
        Ok(found)
    }

    fn servers(&mut self, directives: &'a [Directive], depth: usize) -> Result<(), &'static str> {
        for directive in directives {
            self.look(depth)?;
            for file in self.included(directive)? {
                self.servers(&file.directives, depth + 1)?;
            }
            match &directive.block {
                Some(block) if directive.name == "server" => {
                    let (mut listens, mut names) = (BTreeSet::new(), BTreeSet::new());
                    self.server(block, depth + 1, &mut listens, &mut names)?;
                    self.add(listens, names)?;
                }
                Some(block) => self.servers(block, depth + 1)?,
                None => {}
            }
        }
        Ok(())
    }

    /// Collects what a server listens on and is called; locations have neither.
    fn server(
        &mut self,
        directives: &'a [Directive],
        depth: usize,
        listens: &mut BTreeSet<String>,
        names: &mut BTreeSet<String>,
    ) -> Result<(), &'static str> {
        for directive in directives {
            self.look(depth)?;
            for file in self.included(directive)? {
                self.server(&file.directives, depth + 1, listens, names)?;
            }
            match directive.name.as_str() {
                "listen" => listens.extend(listen(&directive.arguments)),
                "server_name" => names.extend(directive.arguments.iter().map(|one| name(one))),
                // Its includes belong to the dump all the same.
                _ => {
                    let block = directive.block.as_deref().unwrap_or_default();
                    self.pass(block, depth + 1)?;
                }
            }
        }
        Ok(())
    }

    fn pass(&mut self, directives: &'a [Directive], depth: usize) -> Result<(), &'static str> {
        for directive in directives {
            self.look(depth)?;
            for file in self.included(directive)? {
                self.pass(&file.directives, depth + 1)?;
            }
            let block = directive.block.as_deref().unwrap_or_default();
            self.pass(block, depth + 1)?;
        }
        Ok(())
    }

    fn add(
        &mut self,
        mut listens: BTreeSet<String>,
        mut names: BTreeSet<String>,
    ) -> Result<(), &'static str> {
        if listens.is_empty() {
            listens.insert("80".to_owned());
        }
        if names.is_empty() {
            names.insert(ANY.to_owned());
        }
        for listen in &listens {
            for name in &names {
                self.look(0)?;
                self.pairs.insert((listen.clone(), name.clone()));
            }
        }
        Ok(())
    }
}

fn name(name: &str) -> String {
    match name {
        "" => ANY.to_owned(),
        // Letters of an expression have classes: `\D` is not `\d`.
        expression if expression.starts_with('~') => expression.to_owned(),
        name => name.to_lowercase(),
    }
}

/// Returns one way to write an address, from the arguments of `listen`.
fn listen(arguments: &[String]) -> Option<String> {
    let (address, options) = arguments.split_first()?;
    let is_port = address.bytes().all(|byte| byte.is_ascii_digit());
    let address = if is_port || address.starts_with("unix:") {
        address.clone()
    } else {
        let has_port = address.rsplit_once(':').is_some_and(|(host, port)| {
            !port.is_empty() && !port.contains(']') && !host.is_empty()
        });
        let whole = if has_port {
            address.clone()
        } else {
            format!("{address}:80")
        };
        match whole.rsplit_once(':') {
            Some(("*" | "0.0.0.0", port)) => port.to_owned(),
            Some(_) | None => whole.to_lowercase(),
        }
    };
    let udp = options.iter().any(|option| option == "udp");
    Some(if udp { address + "/udp" } else { address })
}
