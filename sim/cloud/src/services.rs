//! Which services stand behind [`SimulatedService`].

use std::collections::BTreeMap;

use crate::{
    cloud::CloudConfig, glue, interface::Service, kinesis, lambda::Lambda, service::SimulatedService, sns::Sns,
    sqs::Sqs,
};

/// All of them, new.
pub fn all(config: &CloudConfig) -> BTreeMap<Service, Box<dyn SimulatedService>> {
    let mut services = BTreeMap::from([kinesis::service(config), glue::service(config)]);
    services.insert(Service::Sns, Box::new(Sns::new(config.sns.clone())));
    services.insert(Service::Sqs, Box::new(Sqs::new(config.sqs.clone())));
    services.insert(Service::Lambda, Box::new(Lambda::new(config.lambda.clone())));
    services
}
