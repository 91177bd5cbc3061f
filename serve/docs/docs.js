// Draws openapi.json. Everything goes through textContent: nothing in it is taken for markup.

const base = new URL("..", import.meta.url);

function make(tag, text = "", ...children) {
  const element = document.createElement(tag);
  element.append(...inline(text), ...children);
  return element;
}

/** Text with `code` between backticks. */
function inline(text) {
  return String(text).split("`").map((piece, index) => {
    if (index % 2 === 0) return piece;
    const code = document.createElement("code");
    code.textContent = piece;
    return code;
  });
}

function table(rows) {
  const body = make("table");
  for (const [name, ...cells] of rows) {
    body.append(make("tr", "", make("th", name), ...cells.map((cell) => make("td", cell))));
  }
  return body;
}

function contents(title, content) {
  return Object.entries(content ?? {}).flatMap(([type, { schema, example }]) => {
    const heading = make("p", `${title} \`${type}\`${schema?.$ref ? `: ${schema.$ref.split("/").at(-1)}` : ""}`);
    return example === undefined ? [heading] : [heading, make("pre", JSON.stringify(example, null, 1))];
  });
}

function operation(path, method, about, api) {
  const summary = make("summary", "", make("code", `${method.toUpperCase()} ${path}`), make("span", ` ${about.summary}`));
  const details = make("details", "", summary);
  details.id = about.operationId;
  if (about.description) details.append(make("p", about.description));
  if (about.parameters) {
    details.append(table(about.parameters.map((one) => [one.name, one.in, one.description ?? ""])));
  }
  details.append(...contents("Body", about.requestBody?.content));
  const answers = Object.entries(about.responses).map(([status, answer]) => [status, resolve(answer, api).description]);
  details.append(make("p", "Answers"), table(answers), ...contents("200", about.responses[200]?.content));
  return details;
}

function resolve(value, api) {
  return value.$ref ? value.$ref.slice(2).split("/").reduce((at, key) => at[key], api) : value;
}

function schemas(api) {
  return Object.entries(api.components.schemas).map(([name, schema]) => {
    const details = make("details", "", make("summary", "", make("code", name)));
    details.append(make("pre", JSON.stringify(schema, null, 1)));
    return details;
  });
}

async function draw() {
  const api = await (await fetch(new URL("openapi.json", base))).json();
  const main = document.getElementById("main");
  main.append(make("h1", api.info.title), make("p", api.info.description));
  for (const tag of api.tags) {
    main.append(make("h2", tag.name), make("p", tag.description ?? ""));
    for (const [path, methods] of Object.entries(api.paths)) {
      for (const [method, about] of Object.entries(methods)) {
        if (about.tags[0] === tag.name) main.append(operation(path, method, about, api));
      }
    }
  }
  main.append(make("h2", "Schemas"), ...schemas(api));
  const link = make("a", "openapi.json");
  link.href = new URL("openapi.json", base);
  main.append(make("p", "The same as data: ", link));
  const chosen = location.hash && document.getElementById(location.hash.slice(1));
  if (chosen) chosen.open = true;
}

draw();
