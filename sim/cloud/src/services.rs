//! Which services stand behind [`SimulatedService`].

use std::collections::BTreeMap;

use crate::{cloud::CloudConfig, interface::Service, service::SimulatedService};

/// All of them, new.
pub fn all(_config: &CloudConfig) -> BTreeMap<Service, Box<dyn SimulatedService>> {
    BTreeMap::new()
}
