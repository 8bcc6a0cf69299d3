use base::limits;

use super::*;

fn read(bytes: &[u8]) -> Result<Vec<Value>, AmfError> {
    Reader::new(bytes).values()
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

#[test]
fn what_is_written_reads_back() {
    let bytes = Writer::command("_result", 4.0)
        .null()
        .object(&[("code", "NetStream.Publish.Start".into()), ("clientid", 1.0.into())])
        .undefined()
        .finish();
    let object = vec![
        ("code".to_owned(), text("NetStream.Publish.Start")),
        ("clientid".to_owned(), Value::Number(1.0)),
    ];
    assert_eq!(
        read(&bytes).unwrap(),
        [text("_result"), Value::Number(4.0), Value::Null, Value::Object(object), Value::Undefined]
    );
}

#[test]
fn every_marker_is_read_or_refused_by_name() {
    for (bytes, value) in [
        (&b"\x01\x02"[..], Value::Boolean(true)),
        (b"\x02\0\x01\xff", text("\u{fffd}")),
        (b"\x08\xff\xff\xff\xff\0\x01a\x05\0\0\x09", Value::EcmaArray(vec![("a".to_owned(), Value::Null)])),
        (b"\x03\0\0\x05\0\0\x09", Value::Object(vec![(String::new(), Value::Null)])),
        (b"\x0a\0\0\0\x02\x05\x06", Value::StrictArray(vec![Value::Null, Value::Undefined])),
        (b"\x0b\0\0\0\0\0\0\0\0\xff\xff", Value::Date(0.0)),
        (b"\x0c\0\0\0\x02hi", text("hi")),
        (b"\x0d", Value::Undefined),
        (b"\x0f\0\0\0\x04<a/>", text("<a/>")),
        (b"\x10\0\x01C\0\x01a\x05\0\0\x09", Value::Object(vec![("a".to_owned(), Value::Null)])),
    ] {
        assert_eq!(read(bytes), Ok(vec![value]), "{bytes:x?}");
        for cut in 1..bytes.len() {
            assert_eq!(read(&bytes[..cut]), Err(AmfError::Truncated), "{:x?}", &bytes[..cut]);
        }
    }
    for (bytes, error) in [
        (&b"\x07\0\0"[..], AmfError::Reference),
        (b"\x11\x0a\x0b\x01", AmfError::Amf3),
        (b"\x04", AmfError::BadMarker(4)),
        (b"\x09", AmfError::BadMarker(9)),
        (b"\x0e", AmfError::BadMarker(14)),
        (b"\xff", AmfError::BadMarker(255)),
    ] {
        assert_eq!(read(bytes), Err(error));
    }
}

#[test]
fn fifty_kilobytes_of_nested_arrays_are_too_deep() {
    let bytes = b"\x0a\0\0\0\x01".repeat(10_000);
    assert_eq!(read(&bytes), Err(AmfError::TooDeep));
    assert_eq!(read(&b"\x03\0\x01a".repeat(12_000)), Err(AmfError::TooDeep));
    let mut fits = b"\x0a\0\0\0\x01".repeat(limits::AMF_DEPTH_MAX);
    fits.push(0x05);
    assert!(read(&fits).is_ok());
    fits.insert(0, 0x05);
    assert!(read(&fits).is_ok());
}

#[test]
fn announced_counts_and_lengths_reserve_nothing() {
    assert_eq!(read(b"\x0a\xff\xff\xff\xff"), Err(AmfError::Truncated));
    assert_eq!(read(b"\x0c\xff\xff\xff\xff"), Err(AmfError::Truncated));
    assert_eq!(read(b"\x0f\x7f\xff\xff\xffabc"), Err(AmfError::Truncated));
    let mut bytes = b"\x0a\0\x01\0\0".to_vec();
    bytes.extend([0x05; 65_536]);
    assert_eq!(read(&bytes), Err(AmfError::TooManyValues));
    assert_eq!(read(&[0x05; limits::AMF_VALUES_MAX + 1]), Err(AmfError::TooManyValues));
    assert_eq!(read(&[0x05; limits::AMF_VALUES_MAX]).unwrap().len(), limits::AMF_VALUES_MAX);
}

#[test]
fn text_too_long_for_its_length_is_cut_at_a_character() {
    let bytes = Writer::default().text(&"ä".repeat(40_000)).finish();
    assert_eq!(read(&bytes), Ok(vec![text(&"ä".repeat(32_767))]));
}
