//! `volumes` of a service (compose-go's `transform/volume.go`).

use crate::desired::compose::place;
use crate::desired::compose::short::{self, ShortVolume};
use crate::diagnostic::Diagnostic;
use crate::yaml::{Kind, Map, Node};

/// Brings the volumes of a service into their long form.
pub(super) fn canonical(node: &mut Node, at: &str, findings: &mut Vec<Diagnostic>) {
    let Kind::Seq(items) = &mut node.kind else {
        return;
    };
    for (index, item) in items.iter_mut().enumerate() {
        let Some(text) = item.as_str() else { continue };
        match short::parse_volume(text) {
            // Compose reads one or two characters by another way, without an empty `volume`.
            Ok(volume) => *item = long(item, volume, text.len() > 2),
            Err(refusal) => findings.push(refusal.at(item, format_args!("{at}[{index}]"))),
        }
    }
}

fn long(item: &Node, short: ShortVolume, is_whole: bool) -> Node {
    let mut read_only = false;
    let mut no_copy = false;
    let (mut selinux, mut propagation) = (None, None);
    for option in short.options {
        match option.as_str() {
            "ro" => read_only = true,
            "rw" => read_only = false,
            "nocopy" => no_copy = true,
            "z" | "Z" => selinux = Some(Kind::Str(option)),
            _ => propagation = Some(Kind::Str(option)),
        }
    }
    let has_bind = short.is_bind || selinux.is_some() || propagation.is_some();
    let has_volume = no_copy || !short.is_bind && is_whole;
    let flag = |set: bool| set.then_some(Kind::Bool(true));
    let bind = place::mapping(
        item,
        [
            ("selinux", selinux),
            ("propagation", propagation),
            ("create_host_path", flag(short.is_bind)),
        ],
    );
    let volume = place::mapping(item, [("nocopy", flag(no_copy))]);
    let kind = if short.is_bind { "bind" } else { "volume" };
    let mut node = place::mapping(
        item,
        [
            ("type", Some(place::text(kind))),
            ("source", short.source.map(Kind::Str)),
            ("target", Some(place::text(short.target))),
            ("read_only", flag(read_only)),
        ],
    );
    if let Kind::Map(map) = &mut node.kind {
        attach(map, "bind", bind, has_bind);
        attach(map, "volume", volume, has_volume);
    }
    node
}

fn attach(map: &mut Map, key: &str, node: Node, is_wanted: bool) {
    if is_wanted {
        map.insert(key, node.position, node);
    }
}
