//! `ports` of a service (compose-go's `transform/ports.go`).

use crate::desired::compose::{place, short};
use crate::diagnostic::Diagnostic;
use crate::engine::model::Port;
use crate::yaml::{Kind, Node};

/// How many ports there may still be; two full ranges are enough for everyone.
pub(super) struct Budget(usize);

impl Default for Budget {
    fn default() -> Self {
        Self(1 << 17)
    }
}

/// Brings the ports of a service into their long form; a range gives one for each port.
pub(super) fn canonical(
    node: &mut Node,
    at: &str,
    budget: &mut Budget,
    findings: &mut Vec<Diagnostic>,
) {
    let Kind::Seq(items) = &mut node.kind else {
        return;
    };
    let mut ports = Vec::with_capacity(items.len());
    for (index, item) in std::mem::take(items).into_iter().enumerate() {
        let refuse = |message: String| Diagnostic::new(item.location(), message);
        let text = match &item.kind {
            Kind::Map(_) => {
                ports.push(item);
                continue;
            }
            Kind::Int(port) => port.to_string(),
            Kind::Str(text) => text.clone(),
            Kind::Null | Kind::Bool(_) | Kind::Float(_) | Kind::Seq(_) => {
                findings.push(
                    refuse(format!("{at}[{index}] is {}, no port", item.kind_name()))
                        .hint("put quotes around it, such as \"8080:80\""),
                );
                continue;
            }
        };
        match short::parse_ports(&text) {
            Ok(short) => {
                let Some(left) = budget.0.checked_sub(short.len()) else {
                    let message = format!("{at}[{index}]: the ports of the file are too many");
                    findings.push(refuse(message).hint("publish smaller ranges"));
                    return;
                };
                budget.0 = left;
                ports.extend(short.into_iter().map(|port| long(&item, port)));
            }
            Err(refusal) => findings.push(refusal.at(&item, format_args!("{at}[{index}]"))),
        }
    }
    *items = ports;
}

fn long(item: &Node, port: Port) -> Node {
    let unless_empty = |text: String| (!text.is_empty()).then_some(Kind::Str(text));
    place::mapping(
        item,
        [
            ("mode", Some(place::text("ingress"))),
            ("host_ip", unless_empty(port.host_ip)),
            ("target", Some(Kind::Int(i64::from(port.target)))),
            ("published", unless_empty(port.published)),
            ("protocol", Some(Kind::Str(port.protocol))),
        ],
    )
}
