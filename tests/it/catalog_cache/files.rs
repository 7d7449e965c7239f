//! What lies in the folder: whose it is, what is in no file, and what becomes of files that are not ours.

use super::home::{CANARY, Client, Home, LIST};
use crate::said::PATIENCE;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

/// Waits until this is so.
#[track_caller]
fn until(is_so: impl Fn() -> bool) {
    let limit = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < limit, "it does not happen");
        thread::park_timeout(Duration::from_millis(5));
    }
}

#[test]
fn folder_and_files_are_their_owners_alone() {
    let home = Home::new("");
    home.stdio(&[]).ask(LIST);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let files = home.lists();
    assert_eq!(files.len(), 1, "{files:?}");
    assert_eq!((mode(&home.lists_folder()), mode(&files[0])), (0o700, 0o600));
    assert_eq!((mode(home.key().parent().unwrap()), mode(&home.key())), (0o700, 0o600));
}

#[test]
fn no_secret_of_a_configuration_is_in_any_file() {
    let home = Home::new("");
    // Another run is the remote server, so that there are headers and a query.
    fs::write(home.path().join("far.toml"), far()).unwrap();
    let mut far = home.command(&["serve", "-c", "far.toml"]);
    let mut far = far.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(far.stderr.take().unwrap()).lines();
    let url = lines.find_map(|line| Some(line.unwrap().strip_prefix("listening on ")?.to_owned())).unwrap();
    home.configure(&format!(
        "servers.far.url = \"{url}?key={CANARY}\"\nservers.far.headers = {{ X-Key = \"${{TOKEN}}\", Other = \"{CANARY}\" }}"
    ));
    let list = home.stdio(&[]).ask(LIST);
    assert!(list.contains("notes__list") && list.contains("far__"), "{list}");
    let client = home.stdio(&[]);
    until(|| home.lists().len() == 2);
    drop(client);
    far.kill().unwrap();
    far.wait().unwrap();
    let mut looked = 0;
    let mut folders = vec![home.path().join(".cache"), home.path().join(".local")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            assert!(!path.to_str().unwrap().contains(CANARY), "{path:?}");
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read(&path).unwrap();
            let has = text.windows(CANARY.len()).any(|part| part == CANARY.as_bytes());
            assert!(!has, "{path:?}");
            looked += 1;
        }
    }
    assert!(looked >= 3, "{looked}");
    let log = fs::read_to_string(home.path().join("log")).unwrap();
    assert!(!log.contains(CANARY), "{log}");
}

fn far() -> String {
    let braid = env!("CARGO_BIN_EXE_braid");
    format!(
        "listen.http = [\"127.0.0.1:0\"]\nlisten.auth = \"none\"\nadmin.socket = \"off\"\nservers.workshop = {{ command = \"{braid}\", args = [\"demo-server\", \"workshop\"] }}\n"
    )
}

#[test]
fn what_is_damaged_or_foreign_is_said_once_and_replaced() {
    let home = Home::new("");
    let first = home.stdio(&[]).ask(LIST);
    let file = home.lists().remove(0);
    let whole = fs::read(&file).unwrap();
    let elsewhere = home.path().join("elsewhere");
    fs::write(&elsewhere, &whole).unwrap();
    fs::set_permissions(&elsewhere, fs::Permissions::from_mode(0o600)).unwrap();
    let other = String::from_utf8_lossy(&whole).replacen("braid-lists 1", "braid-lists 9", 1);
    let forged = String::from_utf8_lossy(&whole).replace("\"list\"", "\"send\"");
    let damages: [(&str, &dyn Fn()); 8] = [
        ("is damaged", &|| fs::write(&file, &whole[..whole.len() / 2]).unwrap()),
        ("is damaged", &|| fs::write(&file, "").unwrap()),
        ("is damaged", &|| fs::write(&file, [0, 255, 10, 0]).unwrap()),
        ("is damaged", &|| fs::write(&file, &forged).unwrap()),
        ("is of another version", &|| fs::write(&file, &other).unwrap()),
        ("is too large", &|| fs::write(&file, vec![b'x'; 16 << 20]).unwrap()),
        ("was open to others", &|| fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap()),
        ("is no regular file", &|| {
            fs::remove_file(&file).unwrap();
            symlink(&elsewhere, &file).unwrap();
        }),
    ];
    for (at, (why, damage)) in damages.into_iter().enumerate() {
        let said = home.logged(why);
        damage();
        let mut client = home.stdio(&[]);
        // Its server is waited for.
        assert_eq!(client.ask(LIST), first, "{why}");
        until(|| {
            fs::symlink_metadata(&file).is_ok_and(|found| found.is_file())
                && fs::read(&file).unwrap() == whole
        });
        assert_eq!((home.logged(why), home.logged("not used")), (said + 1, at + 1), "{why}");
    }
    assert_eq!(fs::read(&elsewhere).unwrap(), whole);
    let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
}

#[test]
fn a_folder_in_the_place_of_a_file_is_gone_without() {
    let home = Home::new("");
    let first = home.stdio(&[]).ask(LIST);
    let file = home.lists().remove(0);
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    let mut client: Client<'_> = home.stdio(&[]);
    assert_eq!(client.ask(LIST), first);
    until(|| home.logged("not kept") == 1);
    drop(client);
    assert!(file.is_dir() && home.lists().len() == 1);
}

#[test]
fn where_there_is_no_place_for_files_the_run_goes_without() {
    let home = Home::new("");
    fs::write(home.path().join(".cache"), "").unwrap();
    home.hold();
    let mut client = home.stdio(&[]);
    client.say(LIST);
    until(|| home.logged("not kept for the next start") == 1);
    home.release();
    assert!(client.hear().contains("notes__list"));
    home.hold();
    drop(client);
    assert!(!fs::metadata(home.path().join(".cache")).unwrap().file_type().is_fifo());
}
