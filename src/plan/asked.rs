//! Makes the digest by which a network is known to be what it was asked to be, whatever the engine
//! has filled in.

use std::collections::BTreeMap;

use crate::engine::model::{Ipam, IpamPool, Network};
use crate::labels;
use crate::secret::DigestKey;

/// What the digest of a network begins with: the form of what it is a digest of.
const FORM: &str = "1:";

/// Returns the digest of what Git says of a network.
pub(super) fn digest(wanted: &Network, key: &DigestKey) -> String {
    let bytes = serde_json::to_vec(&said_of(wanted)).unwrap_or_default();
    format!("{FORM}{}", key.digest(&bytes))
}

/// Returns whether a digest can be compared with ours.
pub(super) fn is_of_our_form(digest: &str) -> bool {
    digest.starts_with(FORM)
}

/// Returns all that is said of a network, by names that stay whatever ours are; what is not said
/// is left out, so that a key which we learn later changes nothing. Another form is another
/// [`FORM`].
fn said_of(wanted: &Network) -> BTreeMap<String, String> {
    let Network {
        name,
        id: _,
        driver,
        options,
        internal,
        attachable,
        enable_ipv4,
        enable_ipv6,
        ipam,
        labels,
    } = wanted;
    let Ipam {
        driver: ipam_driver,
        options: ipam_options,
        pools,
    } = ipam;
    let choice = |choice: &Option<bool>| choice.map(|on| on.to_string()).unwrap_or_default();
    let switch = |on: bool| if on { "true" } else { "" }.to_owned();
    let mut said: BTreeMap<String, String> = [
        ("name", name.clone()),
        ("driver", driver.clone()),
        ("internal", switch(*internal)),
        ("attachable", switch(*attachable)),
        ("enable_ipv4", choice(enable_ipv4)),
        ("enable_ipv6", choice(enable_ipv6)),
        ("ipam.driver", ipam_driver.clone()),
    ]
    .map(|(what, value)| (what.to_owned(), value))
    .into();
    let mut named = vec![
        ("options".to_owned(), options.clone()),
        ("ipam.options".to_owned(), ipam_options.clone()),
    ];
    for (number, pool) in pools.iter().enumerate() {
        let IpamPool {
            subnet,
            ip_range,
            gateway,
            aux_addresses,
        } = pool;
        let addresses = [
            ("subnet", subnet),
            ("ip_range", ip_range),
            ("gateway", gateway),
        ];
        let addresses = addresses.into_iter();
        said.extend(
            addresses.map(|(what, value)| (format!("ipam.{number}.{what}"), value.clone())),
        );
        let what = format!("ipam.{number}.aux_addresses");
        named.push((what, aux_addresses.clone()));
    }
    said.retain(|_, value| !value.is_empty());
    let mut own = labels.clone();
    own.retain(|name, _| !labels::is_reserved(name));
    named.push(("labels".to_owned(), own));
    for (what, all) in named {
        let all = all.into_iter();
        said.extend(all.map(|(name, value)| (format!("{what}.{name}"), value)));
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever changes this makes every network again whose engine has filled something in: a new
    /// [`FORM`] does not.
    #[test]
    fn the_digest_of_a_network_stays_what_it_is() {
        let map = |name: &str| BTreeMap::from([(name.to_owned(), "v".to_owned())]);
        let plain = Network {
            name: "shop_back".to_owned(),
            driver: "bridge".to_owned(),
            ..Network::default()
        };
        let mut labels = map("a");
        labels.insert(labels::STACK.to_owned(), "shop".to_owned());
        let whole = Network {
            id: "1".to_owned(),
            options: map("mtu"),
            internal: true,
            attachable: true,
            enable_ipv4: Some(false),
            enable_ipv6: Some(true),
            ipam: Ipam {
                driver: "default".to_owned(),
                options: map("o"),
                pools: vec![IpamPool {
                    subnet: "10.1.0.0/16".to_owned(),
                    ip_range: "10.1.2.0/24".to_owned(),
                    gateway: "10.1.0.1".to_owned(),
                    aux_addresses: map("h"),
                }],
            },
            labels,
            ..plain.clone()
        };
        let said = serde_json::to_string(&said_of(&whole)).unwrap();
        assert_eq!(
            said,
            concat!(
                r#"{"attachable":"true","driver":"bridge","enable_ipv4":"false","#,
                r#""enable_ipv6":"true","internal":"true","ipam.0.aux_addresses.h":"v","#,
                r#""ipam.0.gateway":"10.1.0.1","ipam.0.ip_range":"10.1.2.0/24","#,
                r#""ipam.0.subnet":"10.1.0.0/16","ipam.driver":"default","ipam.options.o":"v","#,
                r#""labels.a":"v","name":"shop_back","options.mtu":"v"}"#
            )
        );
        assert_eq!(
            digest(&whole, &DigestKey::new(vec![7; 32])),
            "1:efde097782155ca5b75c621077f76bdb882dfb32735fbd0f00199befc9213f84"
        );
        let said = serde_json::to_string(&said_of(&plain)).unwrap();
        assert_eq!(said, r#"{"driver":"bridge","name":"shop_back"}"#);
    }
}
