//! The dual path: which events go where.

/// Where an event goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Destination {
    /// The ordered stream that read models and sagas follow.
    Core,
    /// The topic for what is pleasant to have soon, and nothing worse than late if it is not.
    Background,
}

impl Destination {
    pub const ALL: [Destination; 2] = [Destination::Core, Destination::Background];

    /// For metrics and log lines.
    pub fn as_str(self) -> &'static str {
        match self {
            Destination::Core => "core",
            Destination::Background => "background",
        }
    }
}

/// Where events of this type go; `None` for a type that this code does not know, which is poison.
pub fn destination(event_type: &str) -> Option<Destination> {
    match event_type {
        "OrderPlaced" | "PaymentConfirmed" | "OrderShipped" | "OrderCancelled" | "PaymentProcessed"
        | "PaymentRefunded" => Some(Destination::Core),
        "ItemAddedToCart" | "ItemRemovedFromCart" | "CartAbandoned" => Some(Destination::Background),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_of_the_domain_has_a_destination() {
        for event_type in nexus_domain::Event::TYPES {
            let wanted = if event_type.contains("Cart") { Destination::Background } else { Destination::Core };
            assert_eq!(destination(event_type), Some(wanted), "{event_type}");
        }
    }

    #[test]
    fn other_types_have_none() {
        for event_type in ["", "orderplaced", "OrderPlaced ", "EmailSent"] {
            assert_eq!(destination(event_type), None, "{event_type:?}");
        }
    }
}
