//! Random faults over many seeds: bytes never change or change places, nothing panics, and after the repair all is well.
#![forbid(unsafe_code)]

mod support;

use nexus_engine::{Control, Direction, EngineKind, compiled_engine};
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const HOSTS: [&str; 4] = ["one", "two", "three", "four"];
const HEAL_AT_MS: u64 = 20_000;

/// A generator for the plan alone; the engine has its own.
struct Plan(u64);

impl Plan {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn host(&mut self) -> &'static str {
        HOSTS[self.below(HOSTS.len() as u64) as usize]
    }

    fn two_hosts(&mut self) -> (&'static str, &'static str) {
        let first = self.below(4);
        let second = (first + 1 + self.below(3)) % 4;
        (HOSTS[first as usize], HOSTS[second as usize])
    }

    fn fault(&mut self, control: &mut dyn Control) {
        let (first, second) = self.two_hosts();
        match self.below(9) {
            0 | 1 => control.crash(self.host()),
            2..=4 => control.restart(self.host()),
            5 => control.partition(first, second, Direction::Both),
            6 => control.partition(first, second, Direction::FirstToSecond),
            7 => control.repair(first, second),
            _ => {
                let min = self.below(30);
                let max = min + self.below(30);
                control.set_link_latency(first, second, ms(min), ms(max));
            }
        }
    }
}

fn heal(control: &mut dyn Control) {
    for first in HOSTS {
        control.restart(first);
        for second in HOSTS.iter().filter(|second| **second != first) {
            control.repair(first, second);
            control.set_link_latency(first, second, ms(1), ms(4));
        }
    }
}

/// Every host serves and every host asks all others. A connection carries pieces of one counting pattern.
fn storm(seed: u64) -> Outcome {
    run_world(config(seed), move |world| {
        for host in HOSTS {
            let notes = world.notes.clone();
            let peer = program(move |platform, _| {
                let notes = notes.clone();
                async move {
                    let acceptor = platform.listener.bind(PORT).await?;
                    let serving = platform.clone();
                    platform.spawn("accept", async move {
                        while let Ok((mut connection, _)) = acceptor.accept().await {
                            serving.spawn("serve", async move {
                                let (mut piece, mut count) = ([0u8; 700], 0usize);
                                while let Ok(read @ 1..) = connection.read(&mut piece).await {
                                    let intact = |(i, byte): (usize, &u8)| *byte == pattern(count + i);
                                    assert!(piece[..read].iter().enumerate().all(intact), "bytes changed");
                                    count += read;
                                    if connection.write_all(&piece[..read]).await.is_err() {
                                        return;
                                    }
                                }
                            });
                        }
                    });
                    for round in 0u32.. {
                        let to = HOSTS[(platform.random_u64("to", &round.to_string()) % 4) as usize];
                        let exchanged = platform.timeout(ms(400), exchange(&platform, to)).await;
                        if platform.monotonic().0 > ms(1_000) && round % 10 == 0 {
                            platform.sleep(ms(50)).await;
                        }
                        if let Ok(Ok(())) = exchanged {
                            notes.add(format!("{host} {to} {}", platform.unix_time().as_millis()));
                        }
                        platform.sleep(ms(20)).await;
                    }
                    Ok(())
                }
            });
            world.engine.add_host(host, peer);
        }
        let mut plan = Plan(seed);
        let mut script = Script::until(ms(HEAL_AT_MS + 10_000));
        for number in 1..60 {
            let state = plan.below(u64::MAX >> 34);
            script = script.at(ms(number * 300), move |control| {
                let mut plan = Plan(state);
                plan.below(2);
                plan.fault(control);
                plan.fault(control);
            });
        }
        script.at(ms(HEAL_AT_MS), heal)
    })
}

fn pattern(position: usize) -> u8 {
    (position % 241) as u8
}

/// Sends 20 pieces and checks their echo.
async fn exchange(platform: &nexus_ports::Platform, to: &str) -> std::io::Result<()> {
    let mut connection = dial(platform, to).await?;
    let mut count = 0;
    for length in (1..400).step_by(20) {
        let sent: Vec<u8> = (count..count + length).map(pattern).collect();
        connection.write_all(&sent).await?;
        let mut echo = vec![0; length];
        connection.read_exact(&mut echo).await?;
        assert_eq!(echo, sent);
        count += length;
    }
    connection.shutdown().await
}

#[test]
fn bytes_survive_storms_and_all_pairs_meet_after_the_repair() {
    // Ticks make turmoil a hundred times as dear.
    let seeds = if compiled_engine() == EngineKind::Madsim { 15 } else { 3 };
    for seed in 0..seeds {
        let outcome = storm(seed);
        outcome.ended.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let healed_ms = EPOCH_UNIX_NS / 1_000_000 + HEAL_AT_MS;
        let met_after = |first: &str, second: &str| {
            outcome.notes.iter().any(|note| {
                let words: Vec<&str> = note.split(' ').collect();
                words[0] == first && words[1] == second && words[2].parse::<u64>().unwrap() > healed_ms
            })
        };
        for first in HOSTS {
            for second in HOSTS {
                assert!(met_after(first, second), "seed {seed}: {first} never reached {second} after the repair");
            }
        }
    }
}
