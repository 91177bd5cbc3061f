"""The words of the figures: English, Spanish."""

LANGUAGES = ("en", "es")

WORDS = {
    "accuracy": ("accuracy (%)", "exactitud (%)"),
    "accuracy_by_class": ("How well each network knows each class", "Cuánto sabe cada red de cada clase"),
    "accuracy_by_class_note": (
        "Share of the test images of a class answered right, with its 95% Wilson interval. Grey line: over all "
        "classes. Orange: the weakest class.",
        "Parte de las imágenes de prueba de una clase que acierta, con su intervalo de Wilson del 95 %. Línea gris:"
        " en todas las clases. Naranja: la clase más débil.",
    ),
    "actual": ("actual class", "clase verdadera"),
    "alike": (
        "How alike the maps of two images are: correlation of all values of {layer}. 1 is the same pattern, 0 has "
        "nothing in common.",
        "Cuánto se parecen los mapas de dos imágenes: correlación de todos los valores de {layer}. 1 es el mismo "
        "patrón, 0 nada en común.",
    ),
    "apart": (
        "They are not the same quantity, so each has its own scale.",
        "No son la misma cantidad: cada una tiene su escala.",
    ),
    "augmented": ("augmented images", "imágenes aumentadas"),
    "bands": ("Orange: above zero. Blue: below zero.", "Naranja: sobre cero. Azul: bajo cero."),
    "bands_relu": (
        "Orange: above zero. Blue: below zero, which ReLU then sets to zero.",
        "Naranja: sobre cero. Azul: bajo cero, que ReLU convierte en cero.",
    ),
    "batch": ("update (one batch of {batch} images each)", "actualización (cada una, un lote de {batch} imágenes)"),
    "best_epoch": ("lowest validation loss: epoch {epoch}", "menor pérdida de validación: época {epoch}"),
    "biases": ("Below each: its number and its bias b.", "Debajo de cada uno: su número y su sesgo b."),
    "by_class": ("{count} of each class", "{count} de cada clase"),
    "champion": ("champion", "la elegida"),
    "test_accuracy": ("accuracy on the test set (%)", "exactitud en el conjunto de prueba (%)"),
    "compared": (
        "{network}: the maps of {layer}, image by image",
        "{network}: los mapas de {layer}, imagen por imagen",
    ),
    "compared_note": (
        "The same place shows the same feature map in every row: similar images light up similar maps.",
        "En cada fila, el mismo lugar muestra el mismo mapa de características: imágenes parecidas encienden mapas "
        "parecidos.",
    ),
    "comparison": ("Accuracy and what it costs", "La exactitud y lo que cuesta"),
    "comparison_note": (
        "Accuracy on {count} test images with its 95% Wilson interval: the longer, the less the test set can tell. "
        "The scale stretches towards 100%.",
        "Exactitud en {count} imágenes de prueba con su intervalo de Wilson del 95 %: cuanto más largo, menos puede"
        " decir el conjunto de prueba. La escala se estira hacia el 100 %.",
    ),
    "confusion": (
        "{network}: what it takes for what (confusion matrix)",
        "{network}: qué toma por qué (matriz de confusión)",
    ),
    "confusion_colours": (
        "Blue: right. Orange: mistakes, darker the larger their share of the row.",
        "Azul: aciertos. Naranja: errores, más oscuros cuanto mayor su parte de la fila.",
    ),
    "confusion_note": (
        "{right} of {count} test images right: {accuracy} (95% interval {low} to {high}).",
        "{right} de {count} imágenes de prueba acertadas: {accuracy} (intervalo: {low} a {high}).",
    ),
    "convolution": ("convolution", "convolución"),
    "cross_entropy": ("cross-entropy in nats", "entropía cruzada en nats"),
    "dense": ("dense", "densa"),
    "edge_filter": ("What one filter does: horizontal edges", "Qué hace un filtro: bordes horizontales"),
    "edge_filter_note": (
        "The filter moves over the image one pixel at a time; each time, the nine products are added up. The yellow"
        " square gives the one marked value.",
        "El filtro recorre la imagen píxel a píxel; en cada lugar se suman los nueve productos. El cuadro amarillo "
        "da el valor señalado.",
    ),
    "edge_result": (
        "Orange: lighter below.\nBlue: darker below.",
        "Naranja: más claro abajo.\nAzul: más oscuro abajo.",
    ),
    "epoch": ("epoch", "época"),
    "epochs": ("{network}: loss and accuracy, epoch by epoch", "{network}: pérdida y exactitud, época a época"),
    "epochs_note": (
        "Training loss: {objective}; mean over the epoch while the weights still change. Validation loss: "
        "cross-entropy in nats at the end of the epoch, on images that were not trained on.",
        "Pérdida de entrenamiento: {objective}; media de la época mientras los pesos aún cambian. Pérdida de "
        "validación: entropía cruzada en nats al final de la época, con imágenes que no se usan para entrenar.",
    ),
    "feature_map": ("feature map", "mapa de características"),
    "feature_maps": (
        "{network}: what its layers make of test image {image}",
        "{network}: qué hacen sus capas con la imagen de prueba {image}",
    ),
    "feature_maps_note": (
        "It shows: {actual}. The network says: {predicted} ({confidence}).",
        "Muestra: {actual}. La red dice: {predicted} ({confidence}).",
    ),
    "filter": ("filter", "filtro"),
    "filters": ("{network}: the {count} filters of {layer}", "{network}: los {count} filtros de {layer}"),
    "filters_note": (
        "Orange: positive weight, looks for light. Blue: negative, looks for dark. White: zero.",
        "Naranja: peso positivo, busca claro. Azul: negativo, busca oscuro. Blanco: cero.",
    ),
    "first": ("the first {shown} of {count} shown", "se muestran {shown} de {count}"),
    "first_images": ("The first {count} training images", "Las primeras {count} imágenes de entrenamiento"),
    "size": ("output size O", "tamaño de salida O"),
    "layers_note": (
        "{formula}, rounded down: W input size, F kernel, P padding, S stride. In all {parameters} parameters and "
        "{macs} multiply-accumulates per image.",
        "{formula}, redondeado hacia abajo: W tamaño de entrada, F filtro (núcleo), P relleno, S paso. En total "
        "{parameters} parámetros y {macs} multiplicaciones y sumas por imagen.",
    ),
    "image": ("image", "imagen"),
    "input": ("input", "entrada"),
    "kind": ("kind", "tipo"),
    "layer": ("layer", "capa"),
    "layers": ("{network}: from layer to layer", "{network}: de capa en capa"),
    "loss": ("loss", "pérdida"),
    "macs": ("multiply-accumulates per image", "multiplicaciones y sumas por imagen"),
    "maps": ("{count} maps of {size}", "{count} mapas de {size}"),
    "max_pooling": ("max pooling", "submuestreo (máx.)"),
    "mistakes": ("{network}: its most confident mistakes", "{network}: sus errores más seguros"),
    "mistakes_none": ("It answers every test image right.", "Acierta todas las imágenes de prueba."),
    "mistakes_note": (
        "{wrong} of {count} test images wrong. Below each: what it is, and in orange what the network says, and how"
        " surely.",
        "{wrong} de {count} imágenes de prueba falladas. Debajo de cada una: lo que es y, en naranja, lo que dice "
        "la red y con cuánta seguridad.",
    ),
    "mse": ("mean squared error", "error cuadrático medio"),
    "norm": ("batch norm", "norm. por lotes"),
    "numbered": ("no. {number}: {name}", "n.º {number}: {name}"),
    "numbers": ("Below each: its number.", "Debajo de cada uno: su número."),
    "output": ("output", "salida"),
    "parameters": ("parameters", "parámetros"),
    "pooling": ("pooling", "submuestreo"),
    "predicted": ("answer of the network", "respuesta de la red"),
    "probabilities": ("probabilities", "probabilidades"),
    "mean": ("mean over {window} updates", "media de {window} actualizaciones"),
    "samples": ("{dataset}: what the images look like", "{dataset}: cómo son las imágenes"),
    "samples_note": (
        "{train} images to train on, {validation} to choose by and {test} to test on, in {count} classes.",
        "{train} imágenes para entrenar, {validation} para elegir y {test} para la prueba, en {count} clases.",
    ),
    "smoothing": ("label smoothing {share}", "suavizado de etiquetas {share}"),
    "steps": ("{network}: loss while it learns", "{network}: la pérdida mientras aprende"),
    "steps_note": (
        "Each update: the loss of its batch ({objective}). Thin vertical lines: ends of epochs.",
        "Cada actualización: la pérdida de su lote ({objective}). Líneas verticales finas: fin de cada época.",
    ),
    "test_chose": (
        "The test set helped to choose: scores on it are better than on images never seen.",
        "El conjunto de prueba ayudó a elegir: sus resultados son mejores que con imágenes nunca vistas.",
    ),
    "train": ("training", "entrenamiento"),
    "train_loss": ("training loss", "pérdida de entrenamiento"),
    "units": ("{count} units", "{count} unidades"),
    "units_filters": ("{network}: what the units of {layer} look for", "{network}: qué buscan las unidades de {layer}"),
    "units_filters_note": (
        "The weights of the {count} units that answer most to the test images, each laid out as the {size} image.",
        "Los pesos de las {count} unidades que más responden a las imágenes de prueba, cada uno en el lugar de su "
        "píxel en la imagen de {size}.",
    ),
    "update": ("each update", "cada actualización"),
    "validation": ("validation", "validación"),
    "validation_loss": ("validation loss", "pérdida de validación"),
}
