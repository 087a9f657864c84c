//! Answers getrandom from a seed on simulation threads, so that std HashMap order is a function of the seed.

