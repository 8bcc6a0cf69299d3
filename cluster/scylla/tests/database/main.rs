//! The promises of this crate, kept against a real CQL server: Apache Cassandra, started by `scripts/cassandra`. One server
//! for the whole run and a keyspace for each test; where it cannot be had the tests say so and are skipped.

#![expect(clippy::panic, clippy::unwrap_used, reason = "tests: a panic is how they fail")]

mod plane;
mod server;
/// Other crates have it by the feature `testing`.
#[path = "../../testing.rs"]
mod testing;
mod work;

mod a_falling_behind_projector_lists_anew;
mod a_killed_server_holds_up_nobody;
mod a_refused_row_is_a_dead_letter;
mod a_restart_in_the_middle_projects_nothing_twice;
mod a_restore_lets_no_token_be_spent_twice;
mod a_zombie_cluster_changes_nothing;
mod damage_is_named_and_refused;
mod every_change_comes_back_equal;
mod foreign_tables_are_refused_by_name;
mod history_is_read_in_pages;
mod of_two_restores_one_wins;
