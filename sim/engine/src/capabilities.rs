//! What each engine can and cannot do, so that a report can say what a verdict does not cover.

use crate::EngineKind;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    Full,
    /// There, with the difference from life that is named.
    Approximate(&'static str),
    /// Not there, and why.
    None(&'static str),
}

use Support::{Approximate, Full, None};

const TURMOIL: &[(&str, Support)] = &[
    ("crash", Approximate("packets under way from the crashed host are lost with it")),
    ("restart", Full),
    ("partition", Approximate("packets wait for the repair and then arrive at once, without TCP's growing pauses")),
    ("partition_one_way", Approximate("as partition; acknowledgements are not modelled, only data is held")),
    ("link_latency", Approximate("drawn from a cut exponential distribution in whole milliseconds, rounded to ticks")),
    ("link_latency_per_direction", None("a link has one latency for both directions")),
    ("clock_offset", Full),
    ("clock_drift", Full),
    ("slow_host", Full),
    ("pause", Approximate("the host's kernel goes on: packets are taken and acknowledged, as for a stopped process")),
    ("packet_loss", Approximate("only as a partition; TCP hides single losses anyway")),
    ("packet_duplication", None("TCP hides it")),
    ("bandwidth", None("a segment of any size takes its link's latency")),
    ("connection_backpressure", Approximate("counted in segments, not bytes")),
    ("reset_by_restarted_host", Full),
    ("retransmission_limit", None("a connection to a dead host is never given up by itself")),
    (
        "task_interleaving",
        Approximate(
            "tasks of one host run in the order in which they were woken, unless `[schedule]` asks for another",
        ),
    ),
    ("host_interleaving", Full),
    ("timer_resolution_below_1_ms", None("timers fire at whole milliseconds")),
    ("time_jumps_over_idleness", None("every tick of every host is run")),
    ("disk_survives_crash", Full),
    ("torn_disk_write", None("a write is whole or absent")),
];

const MADSIM: &[(&str, Support)] = &[
    ("crash", Full),
    ("restart", Full),
    ("partition", Full),
    ("partition_one_way", Approximate("acknowledgements are not modelled: the window reopens although they are lost")),
    ("link_latency", Full),
    ("link_latency_per_direction", None("a link has one latency range for both directions")),
    ("clock_offset", Full),
    ("clock_drift", Full),
    ("slow_host", Full),
    ("pause", Approximate("the host's kernel goes on: packets are taken and acknowledged, as for a stopped process")),
    ("packet_loss", Approximate("only as a partition; TCP hides single losses anyway")),
    ("packet_duplication", None("TCP hides it")),
    ("bandwidth", None("a segment of any size takes its link's latency")),
    ("connection_backpressure", Full),
    ("reset_by_restarted_host", Full),
    ("retransmission_limit", Full),
    ("task_interleaving", Full),
    ("host_interleaving", Full),
    ("timer_resolution_below_1_ms", Full),
    ("time_jumps_over_idleness", Full),
    ("disk_survives_crash", Full),
    ("torn_disk_write", None("a write is whole or absent")),
];

/// Every ability that reports name, in the same order for both engines.
pub fn capabilities(kind: EngineKind) -> &'static [(&'static str, Support)] {
    match kind {
        EngineKind::Turmoil => TURMOIL,
        EngineKind::Madsim => MADSIM,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_engines_answer_the_same_questions() {
        let names = |kind| capabilities(kind).iter().map(|(name, _)| *name).collect::<Vec<_>>();
        assert_eq!(names(EngineKind::Turmoil), names(EngineKind::Madsim));
    }
}
