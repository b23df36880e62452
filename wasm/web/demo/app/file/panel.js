import { Model } from "../models.js";
import { Tensor } from "../runtime.js";
import { takeFiles } from "../ui/drop.js";
import { button, element, failure } from "../ui/elements.js";
import { duration, percent, size } from "../ui/format.js";
import { modelCard } from "../ui/model-card.js";
import { windowOf } from "./window.js";

const SHOWN_LABELS = 5;
const KEPT_ANSWERS = 12;
/** Magika itself asks its model only about files of so many bytes. */
const FEWEST_BYTES = 8;

const SAMPLES = ["samples/bundle.rs", "index.html", "styles/base.css", "icon.svg", "samples/speech.wav", "samples/till.png"];

/** Names the types of files. */
export function filePanel(panel) {
  const model = new Model("magika");
  const answers = panel.querySelector("[data-answers]");
  panel.querySelector("[data-models]").append(modelCard(model));

  const show = (node) => {
    answers.querySelector(".empty")?.remove();
    answers.prepend(node);
    while (answers.children.length > KEPT_ANSWERS) answers.lastElementChild.remove();
  };
  const name = async (files) => {
    for (const file of files) {
      try {
        show(answer(file, await classify(model, file)));
      } catch (error) {
        show(failure(error));
      }
    }
    if (model.state === "ready") await model.refresh();
  };

  takeFiles(panel.querySelector("[data-drop]"), name);
  const samples = SAMPLES.map((path) => button(path.split("/").at(-1), () => fetchFile(path).then((file) => name([file]), (error) => show(failure(error)))));
  panel.querySelector("[data-samples]").append(...samples);
}

async function fetchFile(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path} answered ${response.status}`);
  return new File([await response.blob()], path.split("/").at(-1));
}

/** The most probable types, best first. */
async function classify(model, file) {
  const values = await windowOf(file);
  const session = await model.session();
  const [{ name: input }] = session.inputs;
  const [{ name: output, labels }] = session.outputs;
  const { [output]: scores } = await model.run({ [input]: new Tensor("int32", values, [1, values.length]) });
  const names = session.labels[labels];
  return Array.from(scores.data, (probability, index) => ({ label: names[index], probability }))
    .sort((one, other) => other.probability - one.probability)
    .slice(0, SHOWN_LABELS)
    .map((entry) => ({ ...entry, runMs: model.lastRunMs }));
}

function answer(file, best) {
  const [{ label, runMs }] = best;
  const rows = best.map(({ label, probability }) => element("li", {},
    element("span", {}, label),
    element("meter", { min: 0, max: 1, value: probability, "aria-label": label }),
    element("span", { class: "number" }, percent(probability)),
  ));
  const note = file.size < FEWEST_BYTES ? element("p", { class: "hint" }, "Hint: so few bytes say little.") : "";
  return element("article", { class: "answer", "data-label": label },
    element("header", {}, element("h3", {}, label), element("p", {}, `${file.name}, ${size(file.size)}, ${duration(runMs)}`)),
    element("ol", { class: "scores" }, ...rows),
    note,
  );
}
