//! A server that is killed at any byte: no call runs twice, and what is said of it is true.

use super::braid::Braid;

/// Every offset of the answer, and what was before it. Each is a life of the server; one Braid for a few of them,
/// since a server that keeps dying is started again more and more slowly.
#[test]
fn an_answer_cut_at_any_byte_is_one_execution_of_unknown_outcome() {
    let offsets: Vec<usize> = (0..=110).step_by(10).collect();
    for offset in offsets {
        let config = format!(
            "[servers.evil]\ncommand = \"python3\"\nargs = [\"{{evil}}\", \"--die-on-call\", \"{offset}\", \"--count-file\", \"{{folder}}/count\"]\n\
             timeouts = {{ call = \"20s\" }}\n"
        );
        let (mut braid, _) = Braid::greeted(&config);
        braid.until("the list", |braid| braid.tools().iter().any(|name| name == "evil__echo"));
        let answer = braid.called("evil__echo", r#"{"text":"x","nonce":"once"}"#);
        let counted = std::fs::read_to_string(braid.folder().join("count")).unwrap();
        assert_eq!(counted, "once\n", "at {offset}");
        match answer.get("error") {
            Some(error) => assert_eq!(error["data"]["outcome"], "unknown", "at {offset}: {answer}"),
            None => assert_eq!(answer["result"]["content"][0]["text"], "x", "at {offset}"),
        }
        braid.leave();
    }
}
