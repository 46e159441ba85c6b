//! Maps devices: those of the host, and those that a driver finds.

use std::collections::BTreeSet;

use super::values::Values;
use crate::engine::model::{Device, DeviceRequest};

/// Maps devices of the host, but for those with a name of the Container Device Interface.
pub(super) fn devices(values: Values<'_>) -> BTreeSet<Device> {
    let device = |device: Values<'_>| Device {
        source: device.text_or_empty("source"),
        target: device.text_or_empty("target"),
        permissions: device.text_or_empty("permissions"),
    };
    values
        .maps("devices")
        .map(|(_, one)| device(one))
        .filter(|device| !is_interface_name(device))
        .collect()
}

/// Maps what drivers find: `deploy.resources.reservations.devices`, names of the Container Device
/// Interface, and `gpus`; in the order of Compose.
pub(super) fn requests(values: Values<'_>) -> Vec<DeviceRequest> {
    let reserved = values.values("deploy").values("resources");
    let reserved = reserved.values("reservations");
    let mut requests: Vec<DeviceRequest> = reserved
        .maps("devices")
        .map(|(_, one)| request(one, &[]))
        .collect();
    let named: Vec<String> = values
        .maps("devices")
        .filter_map(|(_, one)| {
            let device = Device {
                source: one.text_or_empty("source"),
                target: one.text_or_empty("target"),
                permissions: String::new(),
            };
            is_interface_name(&device).then_some(device.source)
        })
        .collect();
    if !named.is_empty() {
        requests.push(DeviceRequest {
            driver: "cdi".to_owned(),
            ids: named,
            ..DeviceRequest::default()
        });
    }
    requests.extend(values.maps("gpus").map(|(_, one)| request(one, &["gpu"])));
    requests
}

fn request(one: Values<'_>, further: &[&str]) -> DeviceRequest {
    let mut capabilities = one.texts("capabilities");
    capabilities.extend(further.iter().map(|name| (*name).to_owned()));
    DeviceRequest {
        driver: one.text_or_empty("driver"),
        count: one.integer("count"),
        ids: one.texts("device_ids"),
        capabilities: vec![capabilities],
        options: one.pairs("options"),
    }
}

/// Returns whether a device is one of the Container Device Interface: `vendor.com/class=name`,
/// the same on both sides.
fn is_interface_name(device: &Device) -> bool {
    let word = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.ends_with(|c: char| c.is_ascii_alphanumeric())
    };
    let name = device
        .source
        .split_once('=')
        .and_then(|(kind, name)| Some((kind.split_once('/')?, name)));
    device.source == device.target
        && name
            .is_some_and(|((vendor, class), name)| word(vendor) && word(class) && !name.is_empty())
}
