//! What `SYSTEM` says: services, the environment, the machine.

use winlayer_hive::MergedKey;

use super::{
    super::key::control_set, Answer, Asker, RegistryHive, Service, Variable, View, WindowsFacts,
    number, text, topmost,
};

pub(super) fn machine(facts: &mut WindowsFacts, asker: &mut Asker<'_>) {
    let hive = RegistryHive::System;
    if let Some((product_type, name)) = asker.ask(hive, &names) {
        (facts.product_type, facts.computer_name) = (product_type, name);
    }
    facts.services = asker.ask(hive, &services).unwrap_or_default();
    facts.environment = asker.ask(hive, &environment).unwrap_or_default();
}

/// A key of the current control set.
fn current<'o>(view: &'o View, path: &str) -> Answer<Option<MergedKey<'o>>> {
    let set = control_set(view)?;
    view.overlay.get(&format!("{set}\\{path}"))
}

fn names(view: &View) -> Answer<(Option<String>, Option<String>)> {
    let of = |path, name| match current(view, path)? {
        Some(key) => text(&key, name),
        None => Ok(None),
    };
    Ok((
        of(r"Control\ProductOptions", "ProductType")?,
        of(r"Control\ComputerName\ComputerName", "ComputerName")?,
    ))
}

fn services(view: &View) -> Answer<Vec<Service>> {
    let Some(services) = current(view, "Services")? else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for key in services.subkeys()? {
        // Keys without a type only hold settings of others.
        let Some(kind) = number(&key, "Type")? else {
            continue;
        };
        found.push(Service {
            name: key.name().to_text(),
            start: number(&key, "Start")?.map(start),
            // SERVICE_DRIVER of winnt.h: kernel, file system, recogniser.
            driver: kind & 0xB != 0,
            image_path: text(&key, "ImagePath")?,
            layer: topmost(view, &key),
        });
    }
    Ok(found)
}

fn start(start: u32) -> String {
    let name = match start {
        0 => "boot",
        1 => "system",
        2 => "automatic",
        3 => "manual",
        4 => "disabled",
        other => return other.to_string(),
    };
    name.to_owned()
}

fn environment(view: &View) -> Answer<Vec<Variable>> {
    let Some(key) = current(view, r"Control\Session Manager\Environment")? else {
        return Ok(Vec::new());
    };
    let mut variables = Vec::new();
    for value in key.values()? {
        if let Some(text) = value.data()?.to_text() {
            let name = value.name().to_text();
            variables.push(Variable { name, value: text });
        }
    }
    variables.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(variables)
}
