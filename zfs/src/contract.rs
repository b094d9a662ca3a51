//! One suite for both machines.
