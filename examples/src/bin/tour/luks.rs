//! A LUKS2 volume in an image file: made, opened, written, its key replaced. No root, no device-mapper.

use std::{
    error::Error,
    fs::OpenOptions,
    io::{Read, Seek, Write},
};

use luks_keys::{FormatOptions, KeyslotCost, Luks2Editor, LuksHeader, os_random};

use crate::heading;

const DATA: &[u8] = b"never in the clear on the disk";

pub(crate) fn tour() -> Result<(), Box<dyn Error>> {
    heading("LUKS 1. An image file becomes a volume; cryptsetup would open it too");
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("volume.img");
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
    file.set_len(17 << 20)?;
    // The default costs twice the memory, against who guesses.
    let cost = || KeyslotCost::argon2id(4, 32 * 1024, 1);
    let options = FormatOptions::default().with_label("tour").with_cost(cost());
    let mut file = Luks2Editor::format(file, os_random(), b"correct horse", &options)?.into_inner();
    let header = LuksHeader::read(&mut file)?;
    println!("LUKS2 volume {}", header.uuid());

    heading("LUKS 2. A wrong passphrase, and the right one");
    match header.unlock(&mut file, b"incorrect horse") {
        Err(error) => println!("{error}"),
        Ok(_) => return Err("a refusal was expected".into()),
    }
    let unlocked = header.unlock(&mut file, b"correct horse")?;
    println!("{unlocked}");
    let mut volume = unlocked.open(&mut file)?;
    volume.write_all(DATA)?;
    volume.rewind()?;
    let mut read = vec![0; DATA.len()];
    volume.read_exact(&mut read)?;
    println!("read back: {}", read.escape_ascii());
    let on_disk = std::fs::read(&path)?;
    if read != DATA || on_disk.windows(DATA.len()).any(|window| window == DATA) {
        return Err("the data should be whole, and unreadable on the disk".into());
    }

    heading("LUKS 3. Another passphrase takes the place of the first; the data stays where it is");
    let LuksHeader::Luks2(header) = header else { return Err("a LUKS2 header was expected".into()) };
    let mut editor = Luks2Editor::new(file, *header, os_random());
    let slot = editor.add_keyslot(&unlocked, b"battery staple", &cost())?;
    editor.remove_keyslot(0)?;
    let mut file = editor.into_inner();
    let header = LuksHeader::read(&mut file)?;
    match header.unlock(&mut file, b"correct horse") {
        Err(error) => println!("the first: {error}"),
        Ok(_) => return Err("a refusal was expected".into()),
    }
    println!("the second, in keyslot {slot}: {}", header.unlock(&mut file, b"battery staple")?);
    Ok(())
}
