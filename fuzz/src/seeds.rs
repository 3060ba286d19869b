//! Writes the seeds of all targets into a folder, one below it for each target, and tells their names.

use std::{env, fs, io, path};

use pemm_fuzz::targets;

fn main() -> io::Result<()> {
    let root = env::args_os().nth(1).ok_or_else(|| io::Error::other("name a folder"))?;
    for target in targets() {
        let folder = path::Path::new(&root).join(target.name);
        fs::create_dir_all(&folder)?;
        for (number, seed) in (target.seeds)().into_iter().enumerate() {
            fs::write(folder.join(format!("seed-{number}")), seed)?;
        }
        println!("{}", target.name);
    }
    Ok(())
}
