//! Which services stand behind [`SimulatedService`].

use std::collections::BTreeMap;

use crate::{cloud::CloudConfig, interface::Service, kinesis, service::SimulatedService};

/// All of them, new.
pub fn all(config: &CloudConfig) -> BTreeMap<Service, Box<dyn SimulatedService>> {
    BTreeMap::from([kinesis::service(config)])
use crate::{cloud::CloudConfig, interface::Service, service::SimulatedService, sqs::Sqs};
    let mut services: BTreeMap<Service, Box<dyn SimulatedService>> = BTreeMap::new();
    services.insert(Service::Sqs, Box::new(Sqs::new(config.sqs.clone())));
    // services.insert(Service::Sns, Box::new(Sns::new(config.sns.clone())));
use crate::{cloud::CloudConfig, interface::Service, lambda::Lambda, service::SimulatedService};
    services.insert(Service::Lambda, Box::new(Lambda::new(config.lambda.clone())));
    services
}
