//! The questions, for a terminal.

use super::{
    Args, Replica, Source,
    make::{Preset, To},
    terminal,
};
use crate::{
    abroad::{self, There},
    failure::{Failure, Kind},
    look::Land,
    words::bytes,
};
use clap::ValueEnum as _;
use std::{
    fmt::Display,
    io::{self, BufRead, Write},
};
use zam_names::DatasetName;
use zam_policy::Span;

/// So many datasets are listed to choose from; more can be named.
const LISTED: usize = 40;

/// Asks for what the options do not say.
pub fn source(args: &Args, land: Option<&Land>) -> Result<Source, Failure> {
    terminal(
        "--dataset tank/data [--every 10m] [--keep months] [--to usb/copies | --to host:olympus --root nas/zam/laptop]",
    )?;
    Person { input: io::stdin().lock(), output: io::stderr().lock() }.source(args, land)
}

/// The same for a replica.
pub fn replica(args: &Args, land: Option<&Land>) -> Result<Replica, Failure> {
    terminal("--replica --client laptop --root nas/zam/laptop --key laptop.pub [--keep months]")?;
    Person { input: io::stdin().lock(), output: io::stderr().lock() }.replica(args, land)
}

/// Who answers.
pub struct Person<I, O> {
    /// What is typed.
    pub input: I,
    /// What is shown.
    pub output: O,
}

impl<I: BufRead, O: Write> Person<I, O> {
    /// What is to be looked after on this machine.
    pub fn source(&mut self, args: &Args, land: Option<&Land>) -> Result<Source, Failure> {
        let mut shown = "Which datasets shall zam look after? Each goes with all that is below it.\n".to_owned();
        let choice: Vec<&zam_names::Dataset> = land
            .into_iter()
            .flat_map(|land| &land.datasets)
            .filter(|dataset| dataset.name.components().count() <= 2)
            .take(LISTED)
            .collect();
        for (number, dataset) in choice.iter().enumerate() {
            shown += &format!("{:>4}  {:<32} {:>6}\n", number + 1, dataset.name, bytes(dataset.used));
        }
        let datasets = self.ask(&format!("{shown}Numbers or names, with blanks between"), "", |answer| {
            let named =
                |word: &str| match word.parse::<usize>().ok().and_then(|number| choice.get(number.checked_sub(1)?)) {
                    Some(dataset) => Ok(dataset.name.clone()),
                    None => match word.parse::<DatasetName>() {
                        Ok(name) if land.is_some_and(|land| land.dataset(&name).is_none()) => {
                            Err(format!("{word} is neither a number of the list nor a dataset"))
                        }
                        named => named.map_err(|error| error.to_string()),
                    },
                };
            let names: Vec<DatasetName> = answer.split_whitespace().map(named).collect::<Result<_, _>>()?;
            if names.is_empty() { Err("at least one".to_owned()) } else { Ok(names) }
        })?;
        let every = match args.every {
            Some(every) => every,
            None => self.ask("How often shall a snapshot be taken?", args.every(), |answer| {
                answer.parse::<Span>().map_err(|error| error.to_string())
            })?,
        };
        let keep = self.keep(args)?;
        let to = if args.to.is_empty() { self.to(&datasets, land)? } else { args.to.clone() };
        let host = to.iter().find_map(|to| match to {
            To::Host(host) => Some(host.clone()),
            To::Here(_) => None,
        });
        let mut there = args.there.clone();
        if let Some(host) = host.filter(|_| there.root().is_none()) {
            let client = there.client()?;
            let question = format!("Below which dataset of {host} shall the copies lie? Such as nas/zam/{client}");
            let root =
                self.ask(&question, "", |answer| answer.parse::<DatasetName>().map_err(|error| error.to_string()))?;
            there = There::new(there.named().map(str::to_owned), Some(root));
        }
        Ok(Source { datasets, every, keep, to, there })
    }

    /// Who is to be let in, on a machine that receives.
    pub fn replica(&mut self, args: &Args, land: Option<&Land>) -> Result<Replica, Failure> {
        let question = format!("What is the machine called whose copies come to {}?", abroad::here());
        let client = self.ask(&question, "", |answer| {
            There::new(Some(answer.to_owned()), None).client().map_err(|failure| failure.message)
        })?;
        let root = match args.there.root() {
            Some(root) => root.clone(),
            None => {
                let pool = land.and_then(|land| land.pools.first()).map_or("nas", |pool| pool.name.as_str());
                self.ask("Below which dataset shall they lie?", format!("{pool}/zam/{client}"), |answer| {
                    answer.parse::<DatasetName>().map_err(|error| error.to_string())
                })?
            }
        };
        let key = match &args.key {
            Some(key) => key.clone(),
            None => {
                let question =
                    format!("Its public key, as {}/id_ed25519.pub there has it, or a file", crate::commands::ssh::HOME);
                self.ask(&question, "", |answer| {
                    if answer.is_empty() { Err("there is none".to_owned()) } else { Ok(answer.to_owned()) }
                })?
            }
        };
        let keep = self.keep(args)?;
        Ok(Replica { client, root, key, every: args.every(), keep })
    }

    fn keep(&mut self, args: &Args) -> Result<Preset, Failure> {
        if let Some(keep) = args.keep {
            return Ok(keep);
        }
        let mut shown = "How long shall they be kept?\n".to_owned();
        for (number, preset) in Preset::value_variants().iter().enumerate() {
            let words = preset.to_possible_value().and_then(|value| value.get_help().map(ToString::to_string));
            shown += &format!("{:>4}  {:<7} {}\n", number + 1, preset.name(), words.unwrap_or_default());
        }
        self.ask(&format!("{shown}A number or a name"), Preset::default().name(), |answer| {
            let number =
                answer.parse::<usize>().ok().and_then(|number| Preset::value_variants().get(number.checked_sub(1)?));
            number
                .copied()
                .map_or_else(|| Preset::from_str(answer, true).map_err(|_| format!("{answer} is none of them")), Ok)
        })
    }

    fn to(&mut self, datasets: &[DatasetName], land: Option<&Land>) -> Result<Vec<To>, Failure> {
        let mut shown = "Where shall copies go?\n   1  nowhere, for now\n".to_owned();
        let away = |pool: &&zam_names::Pool| !datasets.iter().any(|dataset| dataset.pool() == pool.name);
        let pools: Vec<_> = land.into_iter().flat_map(|land| &land.pools).filter(away).collect();
        for (number, pool) in pools.iter().enumerate() {
            shown += &format!("{:>4}  {}, a pool of this machine, {} free\n", number + 2, pool.name, bytes(pool.free));
        }
        shown += "      host:NAME, another machine, by ssh\n";
        self.ask(&format!("{shown}A number, a dataset of another pool, or host:NAME"), "1", |answer| {
            match answer.parse::<usize>() {
                Ok(1) => Ok(vec![]),
                Ok(number) => match number.checked_sub(2).and_then(|number| pools.get(number)) {
                    Some(pool) => pool.name.as_str().parse().map(|to| vec![to]).map_err(|error: String| error),
                    None => Err(format!("{number} is none of them")),
                },
                Err(_) => match answer.parse().map_err(|error: String| error)? {
                    To::Here(root) if land.is_some() && !pools.iter().any(|pool| pool.name == root.pool()) => {
                        Err(format!("{} is no other pool of this machine", root.pool()))
                    }
                    to => Ok(vec![to]),
                },
            }
        })
    }

    /// Asks until the answer is good; an empty one is the default, if there is one.
    fn ask<T>(
        &mut self,
        question: &str,
        default: impl Display,
        mut parse: impl FnMut(&str) -> Result<T, String>,
    ) -> Result<T, Failure> {
        let failed = |error: &io::Error| Failure::new(Kind::Failed, "cannot ask").because(Some(error));
        let default = default.to_string();
        let shown = if default.is_empty() { String::new() } else { format!(" [{default}]") };
        write!(self.output, "\n{question}{shown}: ").map_err(|error| failed(&error))?;
        loop {
            self.output.flush().map_err(|error| failed(&error))?;
            let mut line = String::new();
            if self.input.read_line(&mut line).map_err(|error| failed(&error))? == 0 {
                return Err(Failure::usage("nobody answers any more: nothing was written"));
            }
            let answer = if line.trim().is_empty() { &default } else { line.trim() };
            match parse(answer) {
                Ok(answer) => return Ok(answer),
                Err(why) => write!(self.output, "{why}. Once more: ").map_err(|error| failed(&error))?,
            }
        }
    }
}
