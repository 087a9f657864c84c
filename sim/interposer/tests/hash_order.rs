//! Whether std and the getrandom crate of this toolchain really go through the interposed functions: each case runs in
//! a process of its own (the helper below), since a symbol is bound once per process.

use std::{collections::HashSet, process::Command};

/// Run by the other tests in a new process; by itself it has no work.
#[test]
fn helper_prints_orders() {
    let Ok(seed) = std::env::var("NEXUS_INTERPOSER_SEED") else { return };
    let order = std::thread::spawn(move || {
        match seed.as_str() {
            "none" => nexus_interposer::unseed_thread(),
            seed => nexus_interposer::seed_thread(seed.parse().unwrap()),
        }
        let order: Vec<u32> = (0..40).collect::<HashSet<u32>>().into_iter().collect();
        let mut bytes = [0u8; 13];
        getrandom::fill(&mut bytes).unwrap();
        format!("ORDER {order:?} {bytes:?}")
    });
    println!("{}", order.join().unwrap());
}

fn order_in_new_process(seed: &str) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "helper_prints_orders", "--nocapture"])
        .env("NEXUS_INTERPOSER_SEED", seed)
        .output()
        .unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let start = text.find("ORDER").expect("the helper prints its order");
    text[start..].lines().next().unwrap().to_owned()
}

#[test]
fn equal_seeds_give_equal_orders_in_two_processes() {
    assert_eq!(order_in_new_process("7"), order_in_new_process("7"));
}

#[test]
fn other_seeds_give_other_orders() {
    assert_ne!(order_in_new_process("7"), order_in_new_process("8"));
}

#[test]
fn unseeded_threads_get_the_operating_systems_entropy() {
    assert_ne!(order_in_new_process("none"), order_in_new_process("none"));
}

#[test]
fn a_seeded_thread_leaves_the_others_alone() {
    nexus_interposer::seed_thread(7);
    let ambient = || {
        let mut bytes = [0u8; 16];
        getrandom::fill(&mut bytes).unwrap();
        bytes
    };
    let here = ambient();
    let elsewhere = [std::thread::spawn(ambient).join().unwrap(), std::thread::spawn(ambient).join().unwrap()];
    nexus_interposer::seed_thread(7);
    assert_eq!(ambient(), here);
    assert_ne!(elsewhere[0], here);
    assert_ne!(elsewhere[0], elsewhere[1]);
    nexus_interposer::unseed_thread();
    assert_ne!(ambient(), here);
}

#[test]
fn getentropy_refuses_more_than_it_promises() {
    let mut bytes = [0u8; 257];
    // SAFETY: the buffer is as long as the length says.
    #[allow(unsafe_code)]
    let answers = unsafe { [257, 256].map(|length| nexus_interposer::getentropy(bytes.as_mut_ptr().cast(), length)) };
    assert_eq!(answers, [-1, 0]);
    assert_ne!(bytes[..256], [0; 256]);
}
