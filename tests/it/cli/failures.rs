//! Errors as scripts read them: one shape, on one line of stderr, whatever failed.

use super::{Said, braid, with_config, with_example};

#[test]
fn every_error_has_one_shape_as_json() {
    let failures: [(Said, i32); 9] = [
        (with_example(&["--json", "call", "workshop__nothing"]), 5),
        (with_example(&["--json", "call", "workshop__add", "a"]), 2),
        (with_example(&["--json", "read", "notes+note://none"]), 5),
        (with_example(&["--json", "list", "tools", "nobody"]), 2),
        (with_example(&["--json", "explain", "nothing"]), 5),
        (with_example(&["check", "--client", "netscape", "--format", "json"]), 2),
        (braid(&["--json", "list", "-c", "no-such-file.toml"]), 6),
        (with_config("[server.a]\n", &["--format=json", "list"]), 6),
        (braid(&["--json", "lits"]), 2),
    ];
    for (said, code) in failures {
        let said = said.with_code(code);
        assert_eq!(said.out, "");
        said.error();
    }
}

#[test]
fn an_error_has_the_code_and_the_data_of_its_response() {
    let error = with_example(&["--json", "call", "workshop__nothing"]).error();
    assert_eq!(error["code"], -32602, "{error}");
    let error = with_config("[server.a]\n", &["--json", "list"]).error();
    assert_eq!(error["data"]["problems"][0]["code"], "BRAID-C001", "{error}");
    assert_eq!(error["message"], error["data"]["problems"][0]["message"], "{error}");
}

#[test]
fn without_json_an_error_is_a_sentence() {
    let said = with_example(&["call", "workshop__nothing"]).with_code(5);
    assert!(said.err.starts_with("braid: ") && said.err.lines().count() == 1, "{said:?}");
    let said = braid(&["lits"]).with_code(2);
    assert!(said.err.contains("'list'"), "{said:?}");
}
