//! `autopack explain [CODE]`.

use crate::{
    cli::ExplainArgs,
    error::{CliError, Exit, Outcome},
    explain::Page,
    output::{Ui, table::Table},
};

/// One page, or the list of all.
pub(super) fn run(ui: Ui, args: &ExplainArgs) -> Outcome {
    let Some(code) = &args.code else {
        ui.data(|| Page::all().map(Page::json).collect(), list);
        return Ok(Exit::Success);
    };
    match Page::find(code) {
        Ok(page) => {
            ui.data(|| page.json(), || page.render());
            Ok(Exit::Success)
        }
        Err(near) => {
            let error = CliError::new(format!(
                "`{}` is no code",
                crate::output::one_line(code, 80)
            ));
            Err(match near.as_slice() {
                [] => error.hint("`autopack explain` lists all codes"),
                near => error.hint(format!("did you mean {}?", near.join(", "))),
            })
        }
    }
}

fn list() -> String {
    let mut table = Table::new(&["CODE", "MEANING"]);
    for page in Page::all() {
        table.row([page.code().to_owned(), page.text().to_owned()]);
    }
    table.render()
}
