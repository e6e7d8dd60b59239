//! Normal form, signature and class of failure texts.

use autopack_policy::signature::{UNKNOWN_CLASS, class, normalise, pattern_id, signature};

#[test]
fn what_differs_between_occurrences_is_replaced() {
    for (text, normal) in [
        (
            r"cannot open C:\Users\me\a.txt now",
            "cannot open <PATH> now",
        ),
        (
            r#"File "/home/a/b.py", line 12, in f"#,
            r#"File "<PATH>", line <NUM>, in f"#,
        ),
        ("src/a.rs:12:5: error", "src/a.rs:<NUM>:5: error"),
        ("name 'foo_1' is not defined", "name <VAR> is not defined"),
        ("no attribute \"bar\"", "no attribute <VAR>"),
        ("No module named 'a.b'", "No module named 'a.b'"),
        ("object at 0x7f00AA", "object at 0x<HEX>"),
        ("nothing to replace", "nothing to replace"),
    ] {
        assert_eq!(normalise(text), normal);
    }
}

#[test]
fn equal_failures_have_one_signature() {
    let a = "File /x/a.py, line 3: NameError: name 'foo' at 0x12";
    let b = "File /y/z/b.py, line 88: NameError: name 'bar' at 0xff";
    assert_eq!(signature(a), signature(b));
    assert_ne!(signature(a), signature("another"));
    assert_eq!(signature(""), "e3b0c44298fc1c14");
    assert_eq!(pattern_id(a), format!("name_error_{}", &signature(a)[..8]));
}

#[test]
fn the_first_class_that_fits_counts() {
    for (text, expected) in [
        ("ModuleNotFoundError: No module named 'x'", "import_error"),
        ("ImportError then TypeError", "import_error"),
        ("SyntaxError: invalid", "syntax_error"),
        ("TypeError: x", "type_error"),
        ("AttributeError", "attribute_error"),
        ("NameError", "name_error"),
        ("ValueError", "value_error"),
        ("KeyError: 'a'", "key_error"),
        ("IndentationError", "indentation_error"),
        ("cat: x: No such file or directory", "file_not_found"),
        ("Permission denied", "permission_error"),
        ("Access denied", "permission_error"),
        ("boom", UNKNOWN_CLASS),
    ] {
        assert_eq!(class(text), expected, "{text}");
    }
}
