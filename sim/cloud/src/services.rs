//! Which services stand behind [`SimulatedService`].

use std::collections::BTreeMap;

use crate::{
    cloud::CloudConfig, interface::Service, kinesis, lambda::Lambda, service::SimulatedService, sqs::Sqs,
};

/// All of them, new.
pub fn all(config: &CloudConfig) -> BTreeMap<Service, Box<dyn SimulatedService>> {
    let mut services = BTreeMap::from([kinesis::service(config)]);
    services.insert(Service::Sqs, Box::new(Sqs::new(config.sqs.clone())));
    services.insert(Service::Lambda, Box::new(Lambda::new(config.lambda.clone())));
    services
}
