//! Joins the address pools of a network.

use super::{mappings, take, unlike};
use crate::desired::compose::pattern::display;
use crate::diagnostic::Diagnostic;
use crate::yaml::{Kind, Node};

/// Pairs of address pools that are compared at most.
const MAX_POOL_PAIRS: usize = 1_000_000;

/// An address pool of the result.
#[derive(Clone, Copy)]
enum Pool {
    Earlier(usize),
    Later(usize),
}

/// As compose-go has it, step by step: a pool of the later file joins one of the same subnet, an
/// earlier one that no later one has the subnet of is lost, and a pool that stands in the result
/// changes there with every later one that it joins.
pub(super) fn pools(base: &Node, over: Node, path: &mut Vec<String>) -> Result<Node, Diagnostic> {
    let (Some(earlier), Some(later)) = (base.as_seq(), over.as_seq()) else {
        return Err(unlike(base, &over, path));
    };
    if earlier.len().saturating_mul(later.len()) > MAX_POOL_PAIRS {
        let message = format!("{} has too many entries", display(path));
        return Err(Diagnostic::new(over.location(), message).hint("write fewer subnets"));
    }
    let mut earlier = earlier.to_vec();
    let mut result: Vec<Pool> = Vec::new();
    for index in 0..earlier.len() {
        for (later_index, after) in later.iter().enumerate() {
            let known = pool_of(subnet(after).as_deref(), &result, &earlier, later);
            let before = earlier.get(index);
            if before.is_some_and(|before| subnet(before) != subnet(after)) && known.is_none() {
                result.push(Pool::Later(later_index));
                continue;
            }
            if let Some(before) = earlier.get_mut(index) {
                let taken = take(before);
                *before = mappings(taken, after.clone(), path)?;
            }
            // The joined pool may stand there already, under the subnet that it has now.
            let merged = earlier.get(index).and_then(subnet);
            match pool_of(merged.as_deref(), &result, &earlier, later) {
                Some(known) => {
                    if let Some(pool) = result.get_mut(known) {
                        *pool = Pool::Earlier(index);
                    }
                }
                None => result.push(Pool::Earlier(index)),
            }
        }
    }
    let nodes = result.into_iter().filter_map(|pool| match pool {
        Pool::Earlier(index) => earlier.get(index).cloned(),
        Pool::Later(index) => later.get(index).cloned(),
    });
    let nodes = nodes.collect();
    Ok(Node {
        kind: Kind::Seq(nodes),
        ..over
    })
}

fn pool_of(
    wanted: Option<&str>,
    result: &[Pool],
    earlier: &[Node],
    later: &[Node],
) -> Option<usize> {
    result.iter().position(|pool| {
        let node = match pool {
            Pool::Earlier(index) => earlier.get(*index),
            Pool::Later(index) => later.get(*index),
        };
        node.and_then(subnet).as_deref() == wanted
    })
}

fn subnet(pool: &Node) -> Option<String> {
    pool.at(&["subnet"]).and_then(Node::go_string)
}
