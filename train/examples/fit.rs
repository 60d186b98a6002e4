//! Trains one recipe, until `dq train` can: `fit RECIPE RUN THREADS DATA-DIR [KEY=VALUE…]`.
use std::path::Path;
use std::sync::atomic::AtomicBool;
fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let recipe = dq_train::Recipe::load(Path::new(&args[1]), &args[5..])?;
    let images = dq_net::data::load(&recipe.data.set, Some(Path::new(&args[4])), dq_net::data::Split::Train)?;
    let stop = AtomicBool::new(false);
    let options =
        dq_train::Options { run: Path::new(&args[2]), resume: true, threads: args[3].parse()?, stop: &stop };
    let start = std::time::Instant::now();
    let outcome = dq_train::train(&recipe, &images, &options, |event| match event {
        dq_train::Event::Step { epoch, step, steps, ce, .. } if step % 50 == 0 => {
            println!("epoch {epoch} step {step}/{steps} ce {ce:.4} {:.1}s", start.elapsed().as_secs_f64());
        }
        dq_train::Event::Epoch(metrics) => println!("{}", serde_json::to_string(metrics).unwrap()),
        _ => {}
    })?;
    println!("{outcome:?}");
    Ok(())
}
