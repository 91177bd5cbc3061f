"""The words of the figures, in English and Spanish, under the same keys."""

ENGLISH = {
    "accuracy": "accuracy",
    "accuracy_by_class": "How well each network knows each class",
    "accuracy_by_class_note": (
        "Share of the test images of a class answered right, with its 95% Wilson interval. "
        "Grey line: over all classes. Orange: the weakest class."
    ),
    "actual": "actual class",
    "alike": "How alike the maps of two images are",
    "alike_note": "Correlation of all values of {layer}: 1 is the same pattern, 0 has nothing in common.",
    "bands": "Orange: above zero. Blue: below zero.",
    "bands_relu": "Orange: above zero. Blue: below zero, which ReLU then sets to zero.",
    "batch": "update (one batch of {batch} images each)",
    "best_epoch": "lowest validation loss: epoch {epoch}",
    "bias": "Below each: its number and its bias b.",
    "by_class": "{count} of each class",
    "champion": "champion",
    "class_share": "accuracy on the test set",
    "class_share_percent": "accuracy on the test set (%)",
    "compared": "{network}: the maps of {layer}, image by image",
    "compared_cut": "The first {shown} of {count} maps.",
    "compared_note": "The same place shows the same feature map in every row: similar images light up similar maps.",
    "comparison": "Accuracy and what it costs",
    "comparison_note": (
        "Accuracy on {count} test images with its 95% Wilson interval: the longer, the less the test set can tell. "
        "The scale stretches towards 100%."
    ),
    "confusion": "{network}: what it takes for what (confusion matrix)",
    "confusion_colours": "Blue: right. Orange: mistakes, darker the larger their share of the row.",
    "confusion_note": "{right} of {count} test images right: {accuracy} (95% interval {low} to {high}).",
    "convolution": "convolution",
    "cross_entropy": "loss (cross-entropy, nats)",
    "dense": "dense",
    "dropout": "dropout",
    "norm": "batch norm",
    "edge_filter": "What one filter does: horizontal edges",
    "edge_filter_note": (
        "The filter moves over the image one pixel at a time; each time, the nine products are added up. "
        "The yellow square gives the one marked value."
    ),
    "edge_result": "Orange: lighter below.\nBlue: darker below.",
    "epoch": "epoch",
    "epochs": "{network}: loss and accuracy, epoch by epoch",
    "epochs_note": (
        "Training: mean over the epoch, while the weights still change. Validation: measured at its end, on images "
        "that were not trained on."
    ),
    "feature_map": "feature map",
    "feature_maps": "{network}: what its layers make of test image {image}",
    "feature_maps_note": "It shows: {actual}. The network says: {predicted} ({confidence}).",
    "filter": "filter",
    "filters": "{network}: the {count} filters of {layer}",
    "filters_note": "Orange: positive weight, looks for light. Blue: negative, looks for dark. White: zero.",
    "first_images": "The first {count} training images",
    "flatten": "flatten",
    "formula": "O = (W − F + 2P) / S + 1",
    "formula_head": "output size O",
    "formula_note": (
        "{formula}, rounded down: W input size, F kernel, P padding, S stride. "
        "In all {parameters} parameters and {macs} multiply-accumulates per image."
    ),
    "image": "image",
    "input": "input",
    "kernel": "F",
    "kind": "kind",
    "layer": "layer",
    "layers": "{network}: from layer to layer",
    "log_softmax": "log-softmax",
    "maps": "maps",
    "maps_of": "{count} maps of {size}",
    "maps_of_first": "first {shown} of {count}\nmaps of {size}",
    "max_pooling": "max pooling",
    "mistakes": "{network}: its most confident mistakes",
    "mistakes_none": "It answers every test image right.",
    "mistakes_note": (
        "{wrong} of {count} test images wrong. Below each: what it is, and in orange what the network says, "
        "and how surely."
    ),
    "mse": "loss (mean squared error)",
    "macs": "multiply-accumulates per image",
    "numbered": "no. {number}: {name}",
    "output": "output",
    "padding": "P",
    "parameters": "parameters",
    "pooling": "pooling",
    "predicted": "answer of the network",
    "probabilities": "probabilities",
    "running_mean": "mean over {window} updates",
    "samples": "{dataset}: what the images look like",
    "samples_note": "{train} images to train on, {validation} to choose by and {test} to test on, in {count} classes.",
    "steps": "{network}: loss while it learns",
    "steps_note": "One value per update. Thin vertical lines: ends of epochs.",
    "stride": "S",
    "test_chose": "The test set helped to choose: scores on it are better than on images never seen.",
    "train": "training",
    "units": "{count} units",
    "units_filters": "{network}: what the units of {layer} look for",
    "units_filters_note": (
        "The weights of the {count} units that answer most to the test images, each laid out as the {size} image. "
    ),
    "update": "each update",
    "validation": "validation",
}

SPANISH = {
    "accuracy": "exactitud",
    "accuracy_by_class": "Cuánto sabe cada red de cada clase",
    "accuracy_by_class_note": (
        "Parte de las imágenes de prueba de una clase que acierta, con su intervalo de Wilson del 95 %. "
        "Línea gris: en todas las clases. Naranja: la clase más débil."
    ),
    "actual": "clase verdadera",
    "alike": "Cuánto se parecen los mapas de dos imágenes",
    "alike_note": "Correlación de todos los valores de {layer}: 1 es el mismo patrón, 0 nada en común.",
    "bands": "Naranja: sobre cero. Azul: bajo cero.",
    "bands_relu": "Naranja: sobre cero. Azul: bajo cero, que ReLU convierte en cero.",
    "batch": "actualización (cada una, un lote de {batch} imágenes)",
    "best_epoch": "menor pérdida de validación: época {epoch}",
    "bias": "Debajo de cada uno: su número y su sesgo b.",
    "by_class": "{count} de cada clase",
    "champion": "la elegida",
    "class_share": "exactitud en el conjunto de prueba",
    "class_share_percent": "exactitud en el conjunto de prueba (%)",
    "compared": "{network}: los mapas de {layer}, imagen por imagen",
    "compared_cut": "Los primeros {shown} de {count} mapas.",
    "compared_note": (
        "En cada fila, el mismo lugar muestra el mismo mapa de características: "
        "imágenes parecidas encienden mapas parecidos."
    ),
    "comparison": "La exactitud y lo que cuesta",
    "comparison_note": (
        "Exactitud en {count} imágenes de prueba con su intervalo de Wilson del 95 %: "
        "cuanto más largo, menos puede decir el conjunto de prueba. "
        "La escala se estira hacia el 100 %."
    ),
    "confusion": "{network}: qué toma por qué (matriz de confusión)",
    "confusion_colours": "Azul: aciertos. Naranja: errores, más oscuros cuanto mayor su parte de la fila.",
    "confusion_note": "{right} de {count} imágenes de prueba acertadas: {accuracy} (intervalo: {low} a {high}).",
    "convolution": "convolución",
    "cross_entropy": "pérdida (entropía cruzada, nats)",
    "dense": "densa",
    "dropout": "dropout",
    "norm": "normalización",
    "edge_filter": "Qué hace un filtro: bordes horizontales",
    "edge_filter_note": (
        "El filtro recorre la imagen píxel a píxel; en cada lugar se suman los nueve productos. "
        "El cuadro amarillo da el valor señalado."
    ),
    "edge_result": "Naranja: más claro abajo.\nAzul: más oscuro abajo.",
    "epoch": "época",
    "epochs": "{network}: pérdida y exactitud, época a época",
    "epochs_note": (
        "Entrenamiento: media de la época, mientras los pesos aún cambian. Validación: medida al final de la época, "
        "con imágenes que no se usan para entrenar."
    ),
    "feature_map": "mapa de características",
    "feature_maps": "{network}: qué hacen sus capas con la imagen de prueba {image}",
    "feature_maps_note": "Muestra: {actual}. La red dice: {predicted} ({confidence}).",
    "filter": "filtro",
    "filters": "{network}: los {count} filtros de {layer}",
    "filters_note": "Naranja: peso positivo, busca claro. Azul: negativo, busca oscuro. Blanco: cero.",
    "first_images": "Las primeras {count} imágenes de entrenamiento",
    "flatten": "aplanado",
    "formula": "O = (W − F + 2P) / S + 1",
    "formula_head": "tamaño de salida O",
    "formula_note": (
        "{formula}, redondeado hacia abajo: W tamaño de entrada, F filtro (núcleo), P relleno, S paso. "
        "En total {parameters} parámetros y {macs} multiplicaciones y sumas por imagen."
    ),
    "image": "imagen",
    "input": "entrada",
    "kernel": "F",
    "kind": "tipo",
    "layer": "capa",
    "layers": "{network}: de capa en capa",
    "log_softmax": "log-softmax",
    "maps": "mapas",
    "maps_of": "{count} mapas de {size}",
    "maps_of_first": "primeros {shown} de {count}\nmapas de {size}",
    "max_pooling": "submuestreo (máx.)",
    "mistakes": "{network}: sus errores más seguros",
    "mistakes_none": "Acierta todas las imágenes de prueba.",
    "mistakes_note": (
        "{wrong} de {count} imágenes de prueba falladas. Debajo de cada una: lo que es y, en naranja, lo que dice "
        "la red y con cuánta seguridad."
    ),
    "mse": "pérdida (error cuadrático medio)",
    "macs": "multiplicaciones y sumas por imagen",
    "numbered": "n.º {number}: {name}",
    "output": "salida",
    "padding": "P",
    "parameters": "parámetros",
    "pooling": "submuestreo",
    "predicted": "respuesta de la red",
    "probabilities": "probabilidades",
    "running_mean": "media de {window} actualizaciones",
    "samples": "{dataset}: cómo son las imágenes",
    "samples_note": (
        "{train} imágenes para entrenar, {validation} para elegir y {test} para la prueba, en {count} clases."
    ),
    "steps": "{network}: la pérdida mientras aprende",
    "steps_note": "Un valor por actualización. Líneas verticales finas: fin de cada época.",
    "stride": "S",
    "test_chose": "El conjunto de prueba ayudó a elegir: sus resultados son mejores que con imágenes nunca vistas.",
    "train": "entrenamiento",
    "units": "{count} unidades",
    "units_filters": "{network}: qué buscan las unidades de {layer}",
    "units_filters_note": (
        "Los pesos de las {count} unidades que más responden a las imágenes de prueba, cada uno en el lugar de su "
        "píxel en la imagen de {size}. "
    ),
    "update": "cada actualización",
    "validation": "validación",
}

WORDS = {"en": ENGLISH, "es": SPANISH}
