"""Every kind of attempt, and how often each is made. Pure."""

from __future__ import annotations

from collections.abc import Callable

from loadtests.attack import doors, groups, honest, identities, names
from loadtests.attack.attempt import Attempt, Game

Kind = Callable[[Game], Attempt]

# How often each is tried. What costs an embedding or the writer's time is rarer than what costs nothing.
KINDS: dict[Kind, int] = {
    honest.asks: 4,
    honest.asks_in_every_dialect: 2,
    honest.asks_a_local_model: 2,
    honest.asks_in_a_scope: 2,
    honest.searches: 2,
    honest.lists: 4,
    honest.reads: 4,
    honest.borrows_the_connection: 4,
    honest.talks: 2,
    identities.claims_in_headers: 9,
    identities.claims_in_body: 4,
    identities.comes_as_nobody: 9,
    identities.forges_a_token: 9,
    identities.brings_a_token_along: 5,
    identities.guesses_keys: 6,
    identities.spells_the_name_otherwise: 9,
    names.guesses_ids: 10,
    names.names_many: 5,
    names.lists_receipts: 3,
    names.turns_the_cursor: 6,
    names.turns_the_query: 3,
    names.turns_the_scope: 5,
    names.reads_its_own_other_scope: 2,
    names.takes_the_conversation: 3,
    names.asks_for_what_is_private: 3,
    names.pretends_to_be_the_block: 2,
    names.embeds: 3,
    groups.asks_in_its_group: 2,
    groups.asks_beside_its_group: 2,
    groups.takes_the_groups_scope: 9,
    groups.says_to_be_the_group: 5,
    groups.claims_a_group: 3,
    groups.guesses_a_groups_ids: 6,
    groups.writes_into_a_group: 4,
    groups.probes_the_groups_admin: 3,
    doors.imports_as_another: 1,
    doors.has_a_file_read: 2,
    doors.counts_what_there_is: 3,
    doors.probes_the_admin: 8,
    doors.is_the_admin: 2,
    doors.calls_tools: 3,
    doors.opens_files: 3,
    doors.guesses_what_is_private: 5,
    doors.asks_for_what_is_stored: 6,
    doors.leaves_the_base: 5,
    doors.sends_much_without_a_key: 1,
    doors.says_what_is_slow_to_read: 2,
    doors.erases: 2,
    doors.sends_rubbish: 3,
}
