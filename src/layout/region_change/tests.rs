use super::*;
use crate::io::faulty::FaultyStorage;
use crate::layout::sealed_text::tests::{expect_flips_found, flipped_and_sealed, sealed};
use proptest::prelude::*;

fn change() -> RegionChange {
    let names = |from: u32, to: u32| (from..to).map(|i| format!("{i:032x}"));
    RegionChange::new(Path::new("/t"), names(0, 2), names(2, 4))
}

#[test]
fn the_file_of_a_change_names_its_regions() {
    for state in [ChangeState::Announced, ChangeState::Made, ChangeState::Undone] {
        let bytes = change().to_bytes(state);
        assert_eq!(RegionChange::parse(Path::new("/t"), &bytes), Ok((change(), state)));
    }
    let bytes = change().to_bytes(ChangeState::Announced);
    let creation = RegionChange::new(Path::new("/t"), [], change().children);
    let created = creation.to_bytes(ChangeState::Made);
    assert_eq!(RegionChange::parse(Path::new("/t"), &created), Ok((creation, ChangeState::Made)));
    for text in [
        "child 1\n",
        "creation\n",
        "creation\nparent 1\nchild 2\n",
        "parent ../1\nchild 2\n",
        "parent 1\nchild\n",
        "parent 1\nchild 2\nx\n",
    ] {
        for bytes in [text.as_bytes().to_vec(), sealed(text)] {
            assert!(RegionChange::parse(Path::new("/t"), &bytes).is_err(), "{text:?}");
        }
    }
    let of = |children: &[String], replacement: Replacement| {
        let change = RegionChange::new(Path::new("/t"), change().parents, children.iter().cloned());
        change.of_table(replacement)
    };
    let mut altered = Replacement::new(ReplacementKind::Alteration, 3, 0, b"bytes".to_vec());
    altered.families = vec!["f g".to_owned(), "é".to_owned()];
    let deleted = Replacement::new(ReplacementKind::Deletion, 3, -4, Vec::new());
    let truncated = Replacement::new(ReplacementKind::Truncation, 5, 6, b"bytes".to_vec());
    let restored = Replacement::new(ReplacementKind::Restoration, 7, 8, b"bytes".to_vec());
    let children = change().children;
    for (children, replacement) in [
        (&[][..], altered.clone()),
        (&[], deleted.clone()),
        (&children[..], truncated.clone()),
        (&children[..], restored.clone()),
    ] {
        let change = of(children, replacement);
        for state in [ChangeState::Announced, ChangeState::Made, ChangeState::Undone] {
            let parsed = RegionChange::parse(Path::new("/t"), &change.to_bytes(state));
            assert_eq!(parsed, Ok((change.clone(), state)));
        }
        assert!(is_encoded_name(change.name()));
    }
    for wrong in [of(&children, altered), of(&children, deleted), of(&[], truncated), of(&[], restored)] {
        let bytes = wrong.to_bytes(ChangeState::Made);
        assert!(RegionChange::parse(Path::new("/t"), &bytes).is_err(), "{wrong:?}");
    }
    for line in ["name x", "number -1", "id", "family 0", "family ff", "descriptor 0g", "deletion"] {
        let text = format!("deletion\n{line}\nname {0:032x}\nparent {0:032x}\n", 1);
        assert!(RegionChange::parse(Path::new("/t"), &sealed(text)).is_err(), "{line}");
    }
    let name = format!("{:032x}", 1);
    let without_children = sealed(format!("parent {name}\n"));
    assert!(RegionChange::parse(Path::new("/t"), &without_children).is_err());
    expect_flips_found(&bytes, |flipped| RegionChange::parse(Path::new("/t"), flipped).is_ok());
}

#[test]
fn a_change_that_could_not_be_read_is_not_begun() {
    let storage: Arc<dyn Storage> = Arc::new(FaultyStorage::new());
    let of = |parents: u32| {
        let names = |from: u32, to: u32| (from..to).map(|i| format!("{i:032x}"));
        RegionChange::new(Path::new("/t"), names(1, parents), names(0, 1))
    };
    let error = of(420_000).begin(&storage).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(!of(420_000).has_file(&*storage).unwrap());
    let most = of(419_000);
    most.begin(&storage).unwrap();
    assert!(most.is_announced(&*storage).unwrap());
    assert!(read_file(&*storage, &most.path(), CHANGE_BYTES).is_ok());
}

/// As if by two processes, one of which has lost its locks.
#[test]
fn without_renames_a_change_is_made_or_undone_for_good() {
    let faulty = FaultyStorage::new();
    faulty.has_objects();
    faulty.create_dir_all(Path::new("/t")).unwrap();
    let storage: Arc<dyn Storage> = Arc::new(faulty.clone());
    let change = change();
    let entries = || storage.list_dir(Path::new("/t")).unwrap();
    let read = |made: &mut BTreeSet<PathBuf>| {
        RegionChange::among(&*storage, Path::new("/t"), &entries(), made).unwrap()
    };
    let mut made = BTreeSet::new();
    for is_made in [true, false] {
        for parent in change.parents().iter().map(|parent| Path::new("/t").join(parent)) {
            faulty.create_dir_all(&parent).unwrap();
            write_file(&storage, &parent.join(REGION_INFO), b"info").unwrap();
        }
        change.begin(&storage).unwrap();
        assert!(change.is_announced(&*storage).unwrap());
        assert!(change.begin(&storage).unwrap_err().is_already_exists());
        let found = read(&mut made).unwrap();
        assert_eq!(found.unfinished, std::slice::from_ref(&change));
        assert_eq!(found.hidden(&[]).len(), 2);
        if is_made {
            change.publish(&*storage).unwrap();
            change.publish(&*storage).unwrap();
            assert!(read(&mut made).is_none(), "the directory must be listed again");
            assert!(read(&mut made).unwrap().hidden(&[]).is_empty());
        } else {
            assert!(!change.resolve(&*storage).unwrap());
            assert!(change.publish(&*storage).is_err() && change.complete(&*storage).is_err());
            assert_eq!(read(&mut made).unwrap().hidden(&[]).len(), 2);
        }
        assert_eq!(change.resolve(&*storage).unwrap(), is_made);
        assert!(!change.is_announced(&*storage).unwrap());
        assert!(read(&mut made).unwrap().over.is_empty());
        for parent in change.parents() {
            remove_tree(&*storage, &Path::new("/t").join(parent)).unwrap();
        }
        let found = read(&mut made).unwrap();
        assert_eq!((found.over.len(), found.undone.len()), if is_made { (1, 0) } else { (0, 1) });
        found.over.iter().for_each(|change| change.forget(&*storage).unwrap());
        found.undone.iter().for_each(|change| change.clean_up(&*storage, &entries()).unwrap());
        assert!(entries().is_empty());
    }
}

/// As if requests were executed once more after the parents were removed: all rows are in the children.
#[test]
fn without_renames_a_directory_without_a_region_info_is_no_parent() {
    let faulty = FaultyStorage::new();
    faulty.has_objects();
    let (table, change) = (Path::new("/t"), change());
    let parent = table.join(change.parents().first().unwrap());
    faulty.create_dir_all(&parent).unwrap();
    let storage: Arc<dyn Storage> = Arc::new(faulty.clone());
    write_file(&storage, &parent.join("late"), b"late").unwrap();
    change.begin(&storage).unwrap();
    let mut made = BTreeSet::new();
    let mut read = || {
        let entries = storage.list_dir(table).unwrap();
        RegionChange::among(&*storage, table, &entries, &mut made).unwrap()
    };
    assert!(read().is_none(), "the directory must be listed again");
    let found = read().unwrap();
    assert!(found.unfinished.is_empty() && found.hidden(&[]).is_empty());
    assert_eq!(found.over, std::slice::from_ref(&change));
    // With a region info it is a parent.
    write_file(&storage, &parent.join(REGION_INFO), b"info").unwrap();
    let found = read().unwrap();
    assert_eq!((found.unfinished, found.over), (vec![change], Vec::new()));
}

/// Also if the region info of a parent is created once more.
#[test]
fn without_renames_a_change_with_a_child_that_was_written_to_is_over() {
    let restored = Replacement::new(ReplacementKind::Restoration, 3, 4, b"bytes".to_vec());
    for change in [change(), change().of_table(restored)] {
        without_renames_it_is_over(&change);
    }
}

fn without_renames_it_is_over(change: &RegionChange) {
    let reference = format!("{}.{:032x}", "0123456789abcdef".repeat(2), 0);
    let edits = format!("{RECOVERED_EDITS}/{:019}", 5);
    let files = [
        (format!("f/{reference}"), false),
        // A restoration creates it before its file is removed.
        (format!("{RECOVERED_EDITS}/5.seqid"), change.is_a(ReplacementKind::Restoration)),
        ("f/.filelist/f1.1".to_owned(), false),
        (format!("f/{}", "0123456789abcdef".repeat(2)), true),
        (edits, true),
    ];
    for (file, is_written) in files {
        let faulty = FaultyStorage::new();
        faulty.has_objects();
        let table = Path::new("/t");
        let storage: Arc<dyn Storage> = Arc::new(faulty.clone());
        let write = |region: &String, file: &str| {
            let path = table.join(region).join(file);
            faulty.create_dir_all(path.parent().unwrap()).unwrap();
            write_file(&storage, &path, b"bytes").unwrap();
        };
        write(change.parents().first().unwrap(), REGION_INFO);
        change.children().iter().for_each(|child| write(child, REGION_INFO));
        write(change.children().last().unwrap(), &file);
        change.begin(&storage).unwrap();
        let mut made = BTreeSet::new();
        let mut read = || {
            let entries = storage.list_dir(table).unwrap();
            RegionChange::among(&*storage, table, &entries, &mut made).unwrap()
        };
        let found = if is_written {
            assert!(read().is_none(), "{file}: the directory must be listed again");
            read().unwrap()
        } else {
            read().unwrap()
        };
        let number = usize::from(is_written);
        assert_eq!((found.over.len(), found.unfinished.len()), (number, 1 - number), "{file}");
        assert_eq!(found.hidden(&[]).is_empty(), is_written, "{file}");
    }
}

/// The process that creates the table may have lost the lock of the root.
#[test]
fn the_regions_of_a_creation_are_hidden_until_it_is_made() {
    for is_made in [true, false] {
        let faulty = FaultyStorage::new();
        faulty.has_objects();
        let storage: Arc<dyn Storage> = Arc::new(faulty.clone());
        let (table, change) = (Path::new("/t"), RegionChange::new(Path::new("/t"), [], change().children));
        let mut made = BTreeSet::new();
        let mut read = || {
            let entries = storage.list_dir(table).unwrap();
            RegionChange::among(&*storage, table, &entries, &mut made).unwrap()
        };
        change.begin(&storage).unwrap();
        for child in change.children() {
            write_file(&storage, &table.join(child).join(REGION_INFO), b"info").unwrap();
        }
        let found = read().unwrap();
        assert_eq!((found.unfinished.len(), found.over.len(), found.hidden(&[]).len()), (1, 0, 2));
        if is_made {
            change.publish(&*storage).unwrap();
            assert!(change.resolve(&*storage).unwrap());
            assert!(read().is_none(), "the directory must be listed again");
            let found = read().unwrap();
            assert_eq!((found.over.len(), found.hidden(&[]).len()), (1, 0));
            change.mark_made(&storage).unwrap();
            change.forget(&*storage).unwrap();
            assert!(read().unwrap().hidden(&[]).is_empty());
            // The request that announces it is executed once more.
            change.begin(&storage).unwrap();
            let found = read().unwrap();
            assert_eq!((found.unfinished.len(), found.over.len(), found.hidden(&[]).len()), (0, 1, 0));
            continue;
        }
        assert!(!change.resolve(&*storage).unwrap());
        assert!(change.publish(&*storage).is_err());
        // One of its requests is executed late.
        write_file(&storage, &table.join(&change.children()[0]).join(REGION_INFO), b"info").unwrap();
        let found = read().unwrap();
        assert_eq!((found.undone.len(), found.hidden(&[]).len()), (1, 2));
        change.clean_up(&*storage, &storage.list_dir(table).unwrap()).unwrap();
        let names: Vec<_> = storage.list_dir(table).unwrap().into_iter().map(|e| e.name).collect();
        assert_eq!(names, [change.path().file_name().unwrap()]);
    }
}

/// A decision may take effect although its call fails.
#[test]
fn each_call_of_a_decision_fails() {
    for (n, loses_answer) in (0..).flat_map(|n| [(n, false), (n, true)]) {
        let faulty = FaultyStorage::new();
        faulty.has_objects();
        faulty.create_dir_all(Path::new("/t")).unwrap();
        let storage: Arc<dyn Storage> = Arc::new(faulty.clone());
        let change = change();
        change.begin(&storage).unwrap();
        faulty.lose_answers(loses_answer);
        faulty.fail_among_all([n]);
        let published = change.publish(&*storage);
        if !faulty.pending_faults().is_empty() {
            published.unwrap();
            assert!(n >= 4, "{n}");
            break;
        }
        faulty.heal();
        // It is resolved after a failure.
        assert_eq!(change.resolve(&*storage).unwrap(), published.is_ok(), "call {n}, {loses_answer}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>, flip: usize) {
        let table = Path::new("/t");
        let _ = RegionChange::parse(table, &bytes);
        let sealed = flipped_and_sealed(change().to_bytes(ChangeState::Undone), flip);
        if let Ok((found, _)) = RegionChange::parse(table, &sealed) {
            let names = found.parents().iter().chain(found.children());
            prop_assert!(names.into_iter().all(|name| is_encoded_name(name)));
        }
    }
}
