"use strict";

// The way through a scan: each volume arrives as one picture of its axial slices, is turned back into an array once, and
// is cut in three planes from there.

const PLANES = [
  {name: "axial", axis: 0, rows: 1, columns: 2, left: "R", right: "L"},
  {name: "coronal", axis: 1, rows: 0, columns: 2, left: "R", right: "L"},
  {name: "sagittal", axis: 2, rows: 0, columns: 1, left: "A", right: "P"},
];
const SHARPNESS = 3; // canvas pixels per voxel, so that outlines run between voxels

function element(name, properties = {}, children = []) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function decode(uri) {
  return new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = () => reject(new Error("a picture of this scan cannot be decoded"));
    image.src = uri;
  });
}

async function volume(uri, shape, columns) {
  const [slices, height, width] = shape;
  const picture = await decode(uri);
  const canvas = element("canvas", {width: picture.naturalWidth, height: picture.naturalHeight});
  const context = canvas.getContext("2d", {willReadFrequently: true});
  context.drawImage(picture, 0, 0);
  const voxels = new Uint8Array(slices * height * width);
  for (let slice = 0; slice < slices; slice++) {
    const left = (slice % columns) * width, top = Math.floor(slice / columns) * height;
    const pixels = context.getImageData(left, top, width, height).data;
    for (let index = 0; index < height * width; index++) voxels[slice * height * width + index] = pixels[4 * index];
  }
  return voxels;
}

function cut(voxels, shape, plane, position) {
  const strides = [shape[1] * shape[2], shape[2], 1];
  const height = shape[plane.rows], width = shape[plane.columns];
  const pixels = new Uint8Array(height * width);
  for (let row = 0; row < height; row++) {
    let place = position * strides[plane.axis] + row * strides[plane.rows];
    for (let column = 0; column < width; column++, place += strides[plane.columns]) pixels[row * width + column] = voxels[place];
  }
  return {pixels, height, width};
}

function rgb(colour) {
  return [1, 3, 5].map((start) => parseInt(colour.slice(start, start + 2), 16));
}

class View {
  constructor(figure) {
    this.figure = figure;
    this.data = JSON.parse(figure.querySelector("script").textContent);
    this.status = figure.querySelector(".status");
    this.colours = this.data.classes.map((entry) => rgb(entry.colour));
    this.started = false;
  }

  async start() {
    if (this.started) return;
    this.started = true;
    this.status.textContent = "Loading ...";
    try {
      const {shape, columns} = this.data;
      this.image = await volume(this.data.image, shape, columns);
      this.overlays = [];
      for (const [index, overlay] of this.data.overlays.entries()) {
        const labels = await volume(overlay.labels, shape, columns);
        this.overlays.push({name: overlay.name, labels, shown: true, outline: index > 0});
      }
      this.opacity = 0.45;
      this.position = this.fullest();
      this.build();
      this.status.textContent = "";
      this.figure.dataset.ready = "true";
    } catch (failure) {
      this.status.textContent = `This scan cannot be shown: ${failure.message}`;
    }
  }

  // Per axis, the slice with the most foreground of all label maps; the middle where there is none.
  fullest() {
    const {shape} = this.data;
    const counts = shape.map((length) => new Uint32Array(length));
    for (const {labels} of this.overlays) {
      let place = 0;
      for (let z = 0; z < shape[0]; z++) for (let y = 0; y < shape[1]; y++) for (let x = 0; x < shape[2]; x++) {
        if (labels[place++]) { counts[0][z]++; counts[1][y]++; counts[2][x]++; }
      }
    }
    return counts.map((count, axis) => {
      const most = Math.max(...count);
      return most ? count.indexOf(most) : Math.floor(shape[axis] / 2);
    });
  }

  build() {
    this.figure.querySelector(".controls").append(...this.controls());
    const planes = this.data.flat ? PLANES.slice(0, 1) : PLANES;
    this.panels = planes.map((plane) => this.panel(plane));
    this.figure.querySelector(".planes").append(...this.panels.map((panel) => panel.box));
    this.draw();
  }

  controls() {
    const made = [];
    for (const overlay of this.overlays) {
      const shown = element("input", {type: "checkbox", checked: true, name: `show ${overlay.name}`});
      shown.addEventListener("change", () => { overlay.shown = shown.checked; this.draw(); });
      const outline = element("input", {type: "checkbox", checked: overlay.outline, name: `outline ${overlay.name}`});
      outline.addEventListener("change", () => { overlay.outline = outline.checked; this.draw(); });
      const labels = [element("label", {}, [shown, overlay.name]), element("label", {}, [outline, "as outline"])];
      made.push(element("span", {className: "overlay"}, labels));
    }
    const opacity = element("input", {type: "range", min: 0, max: 100, value: 100 * this.opacity, name: "opacity"});
    opacity.addEventListener("input", () => { this.opacity = opacity.value / 100; this.draw(); });
    if (this.overlays.length) made.push(element("label", {}, ["opacity", opacity]));
    if (this.overlays.length === 2) {
      const differences = element("input", {type: "checkbox", name: "differences"});
      differences.addEventListener("change", () => { this.differences = differences.checked; this.draw(); });
      made.push(element("label", {}, [differences, "only where they differ"]));
    }
    const legend = this.data.classes.map((entry) => {
      const patch = element("i");
      patch.style.background = entry.colour;
      return element("span", {}, [patch, entry.name]);
    });
    made.push(element("div", {className: "legend"}, legend));
    return made;
  }

  panel(plane) {
    const {shape, spacing} = this.data;
    const finest = Math.min(spacing[plane.rows], spacing[plane.columns]);
    const canvas = element("canvas", {
      width: Math.round(SHARPNESS * shape[plane.columns] * spacing[plane.columns] / finest),
      height: Math.round(SHARPNESS * shape[plane.rows] * spacing[plane.rows] / finest),
    });
    canvas.setAttribute("role", "img");
    canvas.addEventListener("click", (event) => this.jump(plane, canvas, event));
    const name = element("span");
    const slider = element("input", {type: "range", min: 0, max: shape[plane.axis] - 1, step: 1, name: plane.name});
    slider.setAttribute("aria-label", `${plane.name} slice`);
    slider.addEventListener("input", () => { this.position[plane.axis] = Number(slider.value); this.draw(); });
    const sides = this.data.flat ? [] : [
      element("span", {className: "side left", textContent: plane.left}),
      element("span", {className: "side right", textContent: plane.right}),
    ];
    const stage = element("div", {className: "stage"}, [canvas, ...sides]);
    const moves = shape[plane.axis] > 1 ? [element("label", {}, [name, slider])] : [];
    return {plane, canvas, slider, name, box: element("div", {className: "plane"}, [stage, ...moves])};
  }

  jump(plane, canvas, event) {
    const {shape} = this.data;
    // The picture keeps its proportions inside its box: what is left over lies at its sides.
    const scale = Math.min(canvas.clientWidth / canvas.width, canvas.clientHeight / canvas.height);
    const x = (event.offsetX - (canvas.clientWidth - scale * canvas.width) / 2) / (scale * canvas.width);
    const y = (event.offsetY - (canvas.clientHeight - scale * canvas.height) / 2) / (scale * canvas.height);
    const inside = (share, length) => Math.min(Math.max(Math.floor(share * length), 0), length - 1);
    this.position[plane.columns] = inside(x, shape[plane.columns]);
    this.position[plane.rows] = inside(y, shape[plane.rows]);
    this.draw();
  }

  draw() {
    for (const panel of this.panels) this.drawPanel(panel);
  }

  drawPanel({plane, canvas, slider, name}) {
    const {shape} = this.data, position = this.position[plane.axis];
    slider.value = position;
    name.textContent = `${plane.name} ${position + 1} / ${shape[plane.axis]}`;
    slider.setAttribute("aria-valuetext", `${position + 1} of ${shape[plane.axis]}`);
    canvas.setAttribute("aria-label", `${plane.name} slice ${position + 1} of ${shape[plane.axis]}`);
    const context = canvas.getContext("2d");
    const grey = cut(this.image, shape, plane, position);
    this.paint(context, canvas, grey, (value) => [value, value, value, 255], true);
    const cuts = this.overlays.map((overlay) => cut(overlay.labels, shape, plane, position));
    if (this.differences) this.hideAgreement(cuts);
    this.overlays.forEach((overlay, index) => {
      if (!overlay.shown) return;
      if (overlay.outline && !this.differences) this.outline(context, canvas, cuts[index]);
      else this.paint(context, canvas, cuts[index], (value) => this.fill(value), false);
    });
    if (!this.data.flat) this.cross(context, canvas, plane);
  }

  hideAgreement([first, second]) {
    for (let index = 0; index < first.pixels.length; index++) {
      if (first.pixels[index] === second.pixels[index]) first.pixels[index] = second.pixels[index] = 0;
    }
  }

  fill(value) {
    return value && value <= this.colours.length ? [...this.colours[value - 1], Math.round(255 * this.opacity)] : [0, 0, 0, 0];
  }

  paint(context, canvas, {pixels, height, width}, colour, smooth) {
    const small = element("canvas", {width, height});
    const target = small.getContext("2d"), picture = target.createImageData(width, height);
    for (let index = 0; index < pixels.length; index++) picture.data.set(colour(pixels[index]), 4 * index);
    target.putImageData(picture, 0, 0);
    context.imageSmoothingEnabled = smooth;
    context.drawImage(small, 0, 0, canvas.width, canvas.height);
  }

  outline(context, canvas, {pixels, height, width}) {
    const across = canvas.width / width, down = canvas.height / height;
    this.data.classes.forEach((entry, index) => {
      const value = index + 1, path = new Path2D();
      for (let row = 0; row < height; row++) for (let column = 0; column < width; column++) {
        if (pixels[row * width + column] !== value) continue;
        const x = column * across, y = row * down;
        if (row === 0 || pixels[(row - 1) * width + column] !== value) { path.moveTo(x, y); path.lineTo(x + across, y); }
        if (row === height - 1 || pixels[(row + 1) * width + column] !== value) { path.moveTo(x, y + down); path.lineTo(x + across, y + down); }
        if (column === 0 || pixels[row * width + column - 1] !== value) { path.moveTo(x, y); path.lineTo(x, y + down); }
        if (column === width - 1 || pixels[row * width + column + 1] !== value) { path.moveTo(x + across, y); path.lineTo(x + across, y + down); }
      }
      context.strokeStyle = entry.colour;
      context.lineWidth = 1.5;
      context.stroke(path);
    });
  }

  cross(context, canvas, plane) {
    const {shape} = this.data;
    const x = (this.position[plane.columns] + 0.5) / shape[plane.columns] * canvas.width;
    const y = (this.position[plane.rows] + 0.5) / shape[plane.rows] * canvas.height;
    context.strokeStyle = "rgba(255, 255, 255, 0.35)";
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(x, 0); context.lineTo(x, canvas.height);
    context.moveTo(0, y); context.lineTo(canvas.width, y);
    context.stroke();
  }
}

function showScans() {
  const views = [...document.querySelectorAll("figure.viewer")].map((figure) => new View(figure));
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) views.find((view) => view.figure === entry.target).start();
  }, {rootMargin: "400px"});
  for (const view of views) near.observe(view.figure);
  window.addEventListener("beforeprint", () => {
    for (const view of views) view.start();
    for (const closed of document.querySelectorAll("details:not([open])")) closed.open = true;
  });
}

function offerCopies() {
  for (const button of document.querySelectorAll("button.copy")) {
    button.addEventListener("click", () => {
      const source = document.getElementById(button.dataset.from);
      const range = document.createRange();
      range.selectNodeContents(source);
      const selection = window.getSelection();
      selection.removeAllRanges();
      selection.addRange(range);
      button.textContent = document.execCommand("copy") ? "Copied" : "Press Ctrl-C"; // works on files, too
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  }
}

function offerThemes() {
  const button = document.getElementById("theme"), choices = ["system", "light", "dark"];
  let chosen = 0;
  button.addEventListener("click", () => {
    chosen = (chosen + 1) % choices.length;
    if (chosen) document.documentElement.dataset.theme = choices[chosen];
    else delete document.documentElement.dataset.theme;
    button.textContent = `Colours: ${choices[chosen]}`;
    button.setAttribute("aria-label", chosen ? button.textContent : "Colours: as the system has them");
  });
}

function markPlace() {
  const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) {
      for (const link of links.values()) link.classList.remove("here");
      links.get(entry.target.id).classList.add("here");
    }
  }, {rootMargin: "-20% 0px -70% 0px"});
  for (const section of document.querySelectorAll("main > section")) seen.observe(section);
  if (window.innerWidth < 1000) document.querySelector("nav details").open = false;
}

offerThemes();
offerCopies();
markPlace();
showScans();
