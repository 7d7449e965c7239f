//! The naming rules, one claim each, and their guarantees over hostile keys and lists.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::*;
use crate::config::{Names, Prefix, PrefixMode, Uris};

fn names(prefix: PrefixMode) -> Names {
    Names { prefix, ..Names::default() }
}

fn plan_of(names: &Names, keys: &[&str]) -> NamePlan {
    let servers: Vec<_> = keys.iter().map(|key| (*key, &Prefix::Key, Uris::Prefixed)).collect();
    NamePlan::new(names, &servers)
}

fn always(keys: &[&str]) -> NamePlan {
    plan_of(&names(PrefixMode::Always), keys)
}

fn prefixes(plan: &NamePlan) -> Vec<(&str, &str)> {
    plan.servers().iter().map(|server| (server.name_prefix(), server.uri_prefix().unwrap_or("-"))).collect()
}

fn exposed(plan: &NamePlan, own: &[&[&str]]) -> Vec<Vec<(String, Change)>> {
    let own: Vec<Vec<&str>> = own.iter().map(|row| row.to_vec()).collect();
    plan.expose(&own)
        .into_iter()
        .map(|row| row.into_iter().map(|item| (item.name.into_string(), item.change)).collect())
        .collect()
}

fn one(plan: &NamePlan, own: &[&str]) -> Vec<(String, Change)> {
    exposed(plan, &[own]).remove(0)
}

fn pair(name: &str, change: Change) -> (String, Change) {
    (name.to_owned(), change)
}

#[test]
fn a_plain_name_gets_prefix_and_separator() {
    let plan = always(&["github", "files"]);
    assert_eq!(
        exposed(&plan, &[&["create_issue", "list-issues"], &["read"]]),
        [
            vec![pair("github__create_issue", Change::None), pair("github__list-issues", Change::None)],
            vec![pair("files__read", Change::None)]
        ]
    );
}

#[test]
fn a_key_of_any_characters_makes_legal_prefixes() {
    let plan = always(&["Brave Search", "my_files", "GitHub", "7zip", "_x", "a__b", "tail_", "日本", "é!é"]);
    assert_eq!(
        prefixes(&plan),
        [
            ("Brave_Search", "brave-search"),
            ("my_files", "my-files"),
            ("GitHub", "github"),
            ("x7zip", "x7zip"),
            ("x_x", "x-x"),
            ("a_b", "a-b"),
            ("tail", "tail"),
            ("x_cf2abf", "x-cf2abf"),
            ("x_129353", "x-129353"),
        ]
    );
}

#[test]
fn of_keys_that_sanitise_alike_only_a_clean_one_keeps_the_form() {
    let plan = always(&["my files", "my_files", "my.files"]);
    assert_eq!(
        prefixes(&plan),
        [
            ("my_files_3c02e6", "my-files-3c02e6"),
            ("my_files", "my-files"),
            ("my_files_06d017", "my-files-06d017")
        ]
    );
    assert_eq!(plan.servers()[0].change(), Change::Collided);
    assert_eq!(plan.servers()[1].change(), Change::None);
    let plan = always(&["my files", "my.files"]);
    assert_eq!(
        prefixes(&plan),
        [("my_files_3c02e6", "my-files-3c02e6"), ("my_files_06d017", "my-files-06d017")]
    );
}

#[test]
fn keys_that_differ_in_case_or_sign_have_their_own_uri_prefixes() {
    let plan = always(&["GitHub", "github", "GITHUB", "a_b", "a-b"]);
    let uris: HashSet<_> = plan.servers().iter().filter_map(|server| server.uri_prefix()).collect();
    assert_eq!(uris.len(), 5);
    assert_eq!(plan.servers()[1].uri_prefix(), Some("github"));
    assert_eq!(plan.servers()[4].uri_prefix(), Some("a-b"));
    assert_eq!(plan.servers()[0].name_prefix(), "GitHub");
}

#[test]
fn a_key_that_looks_like_a_hashed_one_takes_nobodys_prefix() {
    let plan = always(&["my files", "my.files", "my_files_3c02e6"]);
    assert_eq!(plan.servers().iter().map(|server| server.name_prefix()).collect::<HashSet<_>>().len(), 3);
    assert_eq!(plan.servers()[2].name_prefix(), "my_files_3c02e6");
}

#[test]
fn a_long_key_leaves_half_of_the_name_to_the_server() {
    let plan = always(&["a-server-with-a-name-that-nobody-can-remember"]);
    let prefix = plan.servers()[0].name_prefix();
    assert_eq!(prefix, "a-server-with-a-n_".to_owned() + &prefix[18..]);
    assert_eq!(prefix.len(), 24);
    assert_eq!(plan.servers()[0].change(), Change::Shortened);
}

#[test]
fn an_underscore_as_separator_makes_the_underscores_of_keys_dashes() {
    let mut names = names(PrefixMode::Always);
    names.separator = "_".to_owned();
    let plan = plan_of(&names, &["my_files", "my"]);
    assert_eq!(
        exposed(&plan, &[&["read"], &["files_read"]]),
        [vec![pair("my-files_read", Change::None)], vec![pair("my_files_read", Change::None)]]
    );
}

#[test]
fn an_unusable_separator_counts_as_the_default() {
    for separator in ["", ".", "::", "123456789"] {
        let mut names = names(PrefixMode::Always);
        names.separator = separator.to_owned();
        assert_eq!(plan_of(&names, &["a"]).separator(), "__");
    }
}

#[test]
fn a_written_prefix_stands_in_every_mode_and_an_empty_one_is_none() {
    for mode in [PrefixMode::Always, PrefixMode::OnCollision, PrefixMode::Never] {
        let text = Prefix::Text("gh".to_owned());
        let empty = Prefix::Text(String::new());
        let plan = NamePlan::new(
            &names(mode),
            &[
                ("github", &text, Uris::Raw),
                ("b", &Prefix::Bare, Uris::Prefixed),
                ("c", &empty, Uris::Prefixed),
            ],
        );
        assert_eq!(prefixes(&plan), [("gh", "-"), ("", "-"), ("", "-")]);
        assert_eq!(one(&plan, &["x"]), [pair("gh__x", Change::None)]);
    }
}

#[test]
fn two_servers_with_one_written_prefix_are_told_apart() {
    let text = Prefix::Text("gh".to_owned());
    let plan = NamePlan::new(
        &names(PrefixMode::Always),
        &[("one", &text, Uris::Prefixed), ("two", &text, Uris::Prefixed)],
    );
    let (one, two) = (&plan.servers()[0], &plan.servers()[1]);
    assert!(one.name_prefix().starts_with("gh_") && two.name_prefix().starts_with("gh_"));
    assert_ne!(one.name_prefix(), two.name_prefix());
    assert_ne!(one.uri_prefix(), two.uri_prefix());
}

#[test]
fn a_bad_character_becomes_an_underscore_and_a_run_becomes_one() {
    let plan = always(&["s"]);
    assert_eq!(
        one(&plan, &["a.b", "a::c", "x y", "naïve", "", "日本", "_"]),
        [
            pair("s__a_b", Change::Sanitised),
            pair("s__a_c", Change::Sanitised),
            pair("s__x_y", Change::Sanitised),
            pair("s__na_ve", Change::Sanitised),
            pair("s__x_28a3d6", Change::Sanitised),
            pair("s__x_9600fa", Change::Sanitised),
            pair("s___", Change::None),
        ]
    );
}

#[test]
fn of_names_that_sanitise_alike_the_clean_one_keeps_the_form() {
    let plan = always(&["s"]);
    let names = one(&plan, &["a.b", "a_b", "a/b"]);
    assert_eq!(names[1], pair("s__a_b", Change::None));
    assert_eq!(names[0], pair("s__a_b_407e8e", Change::Collided));
    assert!(names[2].0.starts_with("s__a_b_") && names[2].1 == Change::Collided);
    let without = one(&plan, &["a.b", "a/b"]);
    assert_eq!(without, [names[0].clone(), names[2].clone()]);
}

#[test]
fn a_long_name_keeps_its_head_and_gets_a_hash_of_server_and_name() {
    let plan = always(&["github"]);
    let names = one(
        &plan,
        &[
            "create_or_update_a_pull_request_review_comment_now",
            "create_or_update_a_pull_request_review_commen",
            "create_or_update_a_pull_request_review_comme",
        ],
    );
    assert_eq!(names[0], pair("github__create_or_update_a_pull_request_revie_68b356", Change::Shortened));
    assert_eq!(names[0].0.len(), 52);
    assert_eq!((names[1].0.len(), names[1].1), (52, Change::Shortened));
    assert_eq!(names[2].0, "github__create_or_update_a_pull_request_review_comme");
    assert_eq!(names[2].1, Change::None);
}

#[test]
fn a_name_that_looks_like_a_hashed_one_is_not_replaced_by_it() {
    let plan = always(&["s"]);
    let names = one(&plan, &["a.b", "a/b", "a_b_407e8e"]);
    assert_eq!(names[2], pair("s__a_b_407e8e", Change::None));
    assert!(names[0].0.starts_with("s__a_b_407e8e") && names[0].0.len() == "s__a_b_".len() + 12);
}

#[test]
fn a_name_listed_twice_is_exposed_twice_and_the_second_says_so() {
    let plan = always(&["s"]);
    let names = one(&plan, &["a", "a", "a", "b"]);
    assert_eq!(names[0], pair("s__a", Change::None));
    assert_eq!(names[1].1, Change::Duplicate);
    assert_eq!(names[2].1, Change::Duplicate);
    assert_ne!(names[1].0, names[2].0);
    assert_eq!(names[3], pair("s__b", Change::None));
}

#[test]
fn names_that_differ_in_case_are_both_kept() {
    let plan = always(&["s"]);
    assert_eq!(one(&plan, &["Read", "read"]), [pair("s__Read", Change::None), pair("s__read", Change::None)]);
}

#[test]
fn without_prefixes_a_shared_name_belongs_to_nobody() {
    let plan = plan_of(&names(PrefixMode::Never), &["a", "b"]);
    assert_eq!(prefixes(&plan), [("", "-"), ("", "-")]);
    let names = exposed(&plan, &[&["search", "get"], &["search", "1put", "x.y"]]);
    assert_eq!(names[0][1], pair("get", Change::None));
    assert_eq!(names[1][1], pair("x1put", Change::Sanitised));
    assert_eq!(names[1][2], pair("x_y", Change::Sanitised));
    for name in [&names[0][0], &names[1][0]] {
        assert!(name.0.starts_with("search_") && name.1 == Change::Collided);
    }
    assert_ne!(names[0][0], names[1][0]);
}

#[test]
fn without_prefixes_a_crafted_name_takes_over_no_call() {
    let plan = plan_of(&names(PrefixMode::Never), &["a", "b", "c"]);
    let before = exposed(&plan, &[&["search"], &["search"], &[]]);
    let crafted = before[0][0].0.clone();
    let after = exposed(&plan, &[&["search"], &["search"], &[&crafted]]);
    assert!(after.iter().flatten().all(|(name, _)| *name != crafted));
}

#[test]
fn on_collision_all_who_share_a_name_are_prefixed() {
    let plan = plan_of(&names(PrefixMode::OnCollision), &["a", "b", "c"]);
    assert_eq!(prefixes(&plan)[0], ("a", "a"));
    assert_eq!(
        exposed(&plan, &[&["search", "get"], &["Search", "put"], &["b__put", "c__own"]]),
        [
            vec![pair("a__search", Change::Collided), pair("get", Change::None)],
            vec![pair("b__Search", Change::Collided), pair("put", Change::None)],
            vec![pair("c__b__put", Change::Collided), pair("c__own", Change::None)],
        ]
    );
}

#[test]
fn on_collision_a_server_without_a_prefix_gets_a_hash() {
    let plan = NamePlan::new(
        &names(PrefixMode::OnCollision),
        &[("a", &Prefix::Key, Uris::Prefixed), ("b", &Prefix::Bare, Uris::Prefixed)],
    );
    let names = exposed(&plan, &[&["search"], &["search"]]);
    assert_eq!(names[0][0], pair("a__search", Change::Collided));
    assert!(names[1][0].0.starts_with("search_") && names[1][0].1 == Change::Collided);
}

#[test]
fn a_bare_name_never_stands_among_anothers_prefixed_ones() {
    let plan = NamePlan::new(
        &names(PrefixMode::Always),
        &[("github", &Prefix::Key, Uris::Prefixed), ("b", &Prefix::Bare, Uris::Prefixed)],
    );
    let names = exposed(&plan, &[&["create"], &["github__create", "github_create"]]);
    assert_eq!(names[0][0], pair("github__create", Change::None));
    assert!(names[1][0].0.starts_with("x-github__create_") && names[1][0].1 == Change::Collided);
    assert_eq!(names[1][1], pair("github_create", Change::None));
}

#[test]
fn rows_without_a_server_stay_empty_and_missing_rows_are_no_fault() {
    let plan = always(&["a", "b"]);
    assert_eq!(exposed(&plan, &[&["x"]]), [vec![pair("a__x", Change::None)]]);
    assert_eq!(exposed(&plan, &[&["x"], &[], &["y"]])[2], []);
}

#[test]
fn a_maximum_that_is_too_small_counts_as_the_least() {
    let mut names = names(PrefixMode::Always);
    names.length_max = 0;
    let plan = plan_of(&names, &["github"]);
    assert!(one(&plan, &["create_pull_request_review"])[0].0.len() <= LENGTH_MIN);
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "[ab_]{0,6}",
        2 => "[a-c_.-]{1,8}",
        2 => "(a|b|a_b|ab)(__|_|-|x)(a|b|_|[0-9a-f]{6})",
        1 => "(a|x|x-|my_files)_[0-9a-f]{6}",
        1 => "\\PC{0,12}",
        1 => any::<String>(),
        1 => "[aA]{20,60}",
        1 => Just("long_".repeat(2048)),
    ]
}

fn style() -> impl Strategy<Value = Names> {
    let mode = prop_oneof![Just(PrefixMode::Always), Just(PrefixMode::OnCollision), Just(PrefixMode::Never)];
    let separator = prop_oneof![
        4 => Just("__".to_owned()),
        2 => Just("_".to_owned()),
        1 => Just("-".to_owned()),
        2 => "[a-cx_-]{0,9}",
    ];
    (mode, separator, prop_oneof![3 => Just(52_usize), 1 => 0_usize..130])
        .prop_map(|(prefix, separator, length_max)| Names { prefix, separator, length_max })
}

fn prefix() -> impl Strategy<Value = Prefix> {
    prop_oneof![
        6 => Just(Prefix::Key),
        1 => Just(Prefix::Bare),
        1 => text().prop_map(Prefix::Text),
    ]
}

type Server = (String, Prefix, Vec<String>);

fn servers() -> impl Strategy<Value = Vec<Server>> {
    prop::collection::vec((text(), prefix(), prop::collection::vec(text(), 0..8)), 1..7).prop_map(
        |servers: Vec<Server>| {
            let mut keys = HashSet::new();
            servers.into_iter().filter(|(key, _, _)| keys.insert(key.clone())).collect()
        },
    )
}

fn plan(names: &Names, servers: &[Server]) -> NamePlan {
    let servers: Vec<_> =
        servers.iter().map(|(key, prefix, _)| (key.as_str(), prefix, Uris::Prefixed)).collect();
    NamePlan::new(names, &servers)
}

fn expose(plan: &NamePlan, servers: &[Server]) -> Vec<Vec<Exposed>> {
    let own: Vec<Vec<&str>> =
        servers.iter().map(|(_, _, own)| own.iter().map(String::as_str).collect()).collect();
    plan.expose(&own)
}

fn is_legal(name: &str, length_max: usize) -> bool {
    name.starts_with(|char: char| char.is_ascii_alphabetic())
        && name.chars().all(|char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-'))
        && name.len() <= length_max
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_exposed_name_is_legal_and_leads_back(names in style(), servers in servers()) {
        let plan = plan(&names, &servers);
        let exposed = expose(&plan, &servers);
        let length_max = names.length_max.max(LENGTH_MIN);
        let mut table = HashMap::new();
        for (server, row) in exposed.iter().enumerate() {
            prop_assert_eq!(row.len(), servers[server].2.len());
            for (index, item) in row.iter().enumerate() {
                prop_assert!(is_legal(&item.name, length_max), "{}", item.name);
                prop_assert_eq!(table.insert(item.name.clone(), (server, index)), None, "{}", item.name);
            }
        }
        for (server, row) in exposed.iter().enumerate() {
            for (index, item) in row.iter().enumerate() {
                prop_assert_eq!(table[&item.name], (server, index));
            }
        }
    }

    #[test]
    fn no_front_is_the_beginning_of_another(names in style(), servers in servers()) {
        let plan = plan(&names, &servers);
        let fronts: Vec<String> = plan
            .servers()
            .iter()
            .filter(|server| !server.name_prefix().is_empty())
            .map(|server| format!("{}{}", server.name_prefix(), plan.separator()))
            .collect();
        for (index, front) in fronts.iter().enumerate() {
            prop_assert!(is_legal(front, names.length_max.max(LENGTH_MIN)), "{}", front);
            for (other, longer) in fronts.iter().enumerate() {
                prop_assert!(index == other || !longer.starts_with(front.as_str()), "{longer} {front}");
            }
        }
        let uris: Vec<&str> = plan.servers().iter().filter_map(|server| server.uri_prefix()).collect();
        prop_assert_eq!(uris.iter().collect::<HashSet<_>>().len(), uris.len());
        for uri in uris {
            prop_assert!(uri.starts_with(|char: char| char.is_ascii_lowercase()), "{}", uri);
            prop_assert!(
                uri.chars().all(|char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '-')
            );
        }
    }

    #[test]
    fn the_order_of_servers_changes_no_name(names in style(), servers in servers(), turn in 0_usize..7) {
        let forth = plan(&names, &servers);
        let mut turned = servers.clone();
        turned.reverse();
        turned.rotate_left(turn % servers.len());
        let back = plan(&names, &turned);
        let exposed_forth = expose(&forth, &servers);
        let exposed_back = expose(&back, &turned);
        for (index, (key, _, _)) in turned.iter().enumerate() {
            let before = servers.iter().position(|(other, _, _)| other == key).unwrap();
            prop_assert_eq!(&forth.servers()[before], &back.servers()[index]);
            prop_assert_eq!(&exposed_forth[before], &exposed_back[index]);
        }
    }

    #[test]
    fn a_prefixed_servers_names_depend_on_its_own_list_only(
        mut names in style(),
        servers in servers(),
        other in prop::collection::vec(text(), 0..8),
    ) {
        names.prefix = PrefixMode::Always;
        let plan = plan(&names, &servers);
        let before = expose(&plan, &servers);
        let mut changed = servers;
        let last = changed.len() - 1;
        changed[last].2 = other;
        let after = expose(&plan, &changed);
        for index in 0..last {
            if !plan.servers()[index].name_prefix().is_empty() {
                prop_assert_eq!(&before[index], &after[index]);
            }
        }
    }

    #[test]
    fn a_new_server_renames_nothing_that_is_prefixed(mut names in style(), servers in servers()) {
        names.prefix = PrefixMode::Always;
        let fewer = &servers[..servers.len() - 1];
        let (before, after) = (plan(&names, fewer), plan(&names, &servers));
        let (exposed_before, exposed_after) = (expose(&before, fewer), expose(&after, &servers));
        for index in 0..fewer.len() {
            let (old, new) = (&before.servers()[index], &after.servers()[index]);
            // A key that sanitises like the new one changes its prefix, and that is all that can.
            if old.name_prefix() != new.name_prefix() {
                prop_assert_eq!(new.change(), Change::Collided);
            } else if !old.name_prefix().is_empty() {
                prop_assert_eq!(&exposed_before[index], &exposed_after[index]);
            }
        }
    }
}

#[test]
fn zero_bytes_cannot_make_two_names_one() {
    let plan = plan_of(&names(PrefixMode::Never), &["a\0b", "a"]);
    let exposed = exposed(&plan, &[&["\u{1}"], &["b\0\u{1}"]]);
    assert_ne!(exposed[0][0].0, exposed[1][0].0);
    let plan = plan_of(&names(PrefixMode::Never), &["a", "a\0"]);
    let exposed = self::exposed(&plan, &[&["\0?"], &["?"]]);
    assert_ne!(exposed[0][0].0, exposed[1][0].0);
}

#[test]
fn keys_that_are_equal_end_all_the_same() {
    let plan = plan_of(&names(PrefixMode::Never), &["a", "a"]);
    let exposed = exposed(&plan, &[&["x"], &["x"]]);
    assert_ne!(exposed[0][0].0, exposed[1][0].0);
}
